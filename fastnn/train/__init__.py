"""Training: the loop, and what one wants around it."""

from fastnn.train.callbacks import (
    Callback,
    Checkpoint,
    ClipGradients,
    EarlyStopping,
    LearningRateMonitor,
    Schedule,
    StopOnNaN,
)
from fastnn.train.checkpoint import load_checkpoint, load_weights, save_checkpoint, save_weights
from fastnn.train.history import History
from fastnn.train.loading import LoadError
from fastnn.train.loggers import CSVLog, JSONLog, TensorBoardLog
from fastnn.train.loop import Run, TrainingDiverged, evaluate, fit, predict, predict_labels
from fastnn.train.metrics import accuracy, confusion_matrix, top_k
from fastnn.train.plots import (
    plot_confusion,
    plot_decision_boundary,
    plot_embedding,
    plot_feature_maps,
    plot_filters,
    plot_misread,
)

__all__ = [
    "CSVLog",
    "Callback",
    "Checkpoint",
    "ClipGradients",
    "EarlyStopping",
    "History",
    "JSONLog",
    "LearningRateMonitor",
    "LoadError",
    "Run",
    "Schedule",
    "StopOnNaN",
    "TensorBoardLog",
    "TrainingDiverged",
    "accuracy",
    "confusion_matrix",
    "evaluate",
    "fit",
    "load_checkpoint",
    "load_weights",
    "plot_confusion",
    "plot_decision_boundary",
    "plot_embedding",
    "plot_feature_maps",
    "plot_filters",
    "plot_misread",
    "predict",
    "predict_labels",
    "save_checkpoint",
    "save_weights",
    "top_k",
]
