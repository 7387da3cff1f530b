"""Metrics on streams: scikit-learn's results, however the data is cut into batches."""

import numpy as np
import pytest

import fastnn
from fastnn import functional, nn, optim
from fastnn.train import accuracy, fit
from fastnn.train.streams import F1, R2, STREAMS, ConfusionMatrix, MeanAbsoluteError, Precision, Recall, RocAuc, resolve

rng = np.random.default_rng(5)
TARGET = rng.integers(0, 5, 203)
OUTPUT = rng.standard_normal((203, 5)) + 1.5 * np.eye(5)[TARGET]
TARGET[TARGET == 3] = 1  # a class that is predicted but never right
OUTPUT[:, 4] -= 9 * (TARGET != 4)
YES = rng.integers(0, 2, 203)
SCORE = np.round(np.clip(0.3 * YES + 0.8 * rng.random(203), 0, 1), 2)  # with ties
NUMBERS = 1e6 + rng.standard_normal((203, 3))
GUESS = NUMBERS + 0.3 * rng.standard_normal((203, 3))


def streamed(name, output, target):
    stream = resolve([name])[name]
    stream.reset()
    for i in range(0, 203, 40):
        stream.update(output[i : i + 40], target[i : i + 40])
    result = stream.result()
    np.testing.assert_allclose(result, stream(output, target), rtol=1e-10)
    return result


def theirs(name, *args, **options):
    return getattr(pytest.importorskip("sklearn.metrics"), name)(*args, **options)


@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
@pytest.mark.parametrize("name", ["precision", "recall", "f1"])
@pytest.mark.filterwarnings("ignore:.*ill-defined")
def test_scores_of_classes(name, average):
    expected = theirs(f"{name}_score", TARGET, OUTPUT.argmax(1), average=average, zero_division=0)
    assert streamed(f"{name}_{average}", OUTPUT, TARGET) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", ["precision", "recall", "f1"])
def test_scores_of_yes_or_no(name):
    expected = theirs(f"{name}_score", YES, SCORE >= 0.5)
    assert streamed(name, SCORE, YES) == pytest.approx(expected, rel=1e-12)
    assert streamed(name, np.stack([1 - SCORE, SCORE + 1e-9], 1), YES) == pytest.approx(expected, rel=1e-12)


@pytest.mark.filterwarnings("ignore:.*not in y_true")
def test_accuracies_and_confusion():
    predicted = OUTPUT.argmax(1)
    assert streamed("accuracy", OUTPUT, TARGET) == pytest.approx(theirs("accuracy_score", TARGET, predicted))
    expected = theirs("balanced_accuracy_score", TARGET, predicted)
    assert streamed("balanced_accuracy", OUTPUT, TARGET) == pytest.approx(expected)
    np.testing.assert_array_equal(
        streamed("confusion_matrix", OUTPUT, TARGET), theirs("confusion_matrix", TARGET, predicted, labels=range(5))
    )


def test_area_under_the_curve():
    expected = theirs("roc_auc_score", YES, SCORE)
    assert streamed("roc_auc", SCORE, YES) == pytest.approx(expected, rel=1e-12)
    assert streamed("roc_auc", SCORE[:, None], YES[:, None]) == pytest.approx(expected, rel=1e-12)
    assert streamed("roc_auc", np.stack([1 - SCORE, SCORE], 1), YES) == pytest.approx(expected, rel=1e-12)
    share = np.exp(OUTPUT)
    share /= share.sum(1, keepdims=True)
    truth = np.arange(203) % 5
    for name, average in (("roc_auc_ovr", "macro"), ("roc_auc_ovr_weighted", "weighted")):
        expected = theirs("roc_auc_score", truth, share, multi_class="ovr", average=average)
        assert streamed(name, OUTPUT, truth) == pytest.approx(expected, rel=1e-12)
        assert streamed(name, share, truth) == pytest.approx(expected, rel=1e-12)


def area_by_pairs(score, yes):
    """How often a yes is above a no, of all pairs; ties are a half."""
    above = score[yes][:, None] - score[~yes]
    return float(np.mean((above > 0) + 0.5 * (above == 0)))


def test_areas_by_hand():
    truth = np.arange(203) % 5
    share = np.exp(OUTPUT)
    share /= share.sum(1, keepdims=True)
    areas = np.array([area_by_pairs(share[:, k], truth == k) for k in range(5)])
    for output in (OUTPUT, share):
        assert streamed("roc_auc", output, truth) == pytest.approx(areas.mean())
        assert streamed("roc_auc_ovr_weighted", output, truth) == pytest.approx(areas @ np.bincount(truth) / 203)
    for output in (SCORE, SCORE[:, None], np.stack([1 - SCORE, SCORE], 1)):
        assert streamed("roc_auc", output, YES) == pytest.approx(area_by_pairs(SCORE, YES == 1))


def test_scores_by_hand():
    taken = OUTPUT.argmax(1)
    hits, predicted, right = (np.bincount(x, minlength=5) for x in (TARGET[taken == TARGET], taken, TARGET))
    assert right[3] == 0 < predicted[3]
    for name, each in (
        ("precision", hits / np.maximum(predicted, 1)),
        ("recall", hits / np.maximum(right, 1)),
        ("f1", 2 * hits / (predicted + right)),
    ):
        assert streamed(f"{name}_macro", OUTPUT, TARGET) == pytest.approx(each.mean())
        assert streamed(f"{name}_weighted", OUTPUT, TARGET) == pytest.approx(each @ right / 203)
        assert streamed(f"{name}_micro", OUTPUT, TARGET) == pytest.approx(hits.sum() / 203)
    yes = SCORE >= 0.5
    two = np.stack([1 - SCORE, SCORE + 1e-9], 1)
    for name, figure in (("precision", YES[yes].mean()), ("recall", yes[YES == 1].mean())):
        assert streamed(name, SCORE, YES) == streamed(name, two, YES) == pytest.approx(figure)


def test_constant_targets():
    assert R2()(np.ones(4), np.ones(4)) == 1 and R2()(np.array([1.0, 1.1]), np.ones(2)) == 0
    assert R2()(GUESS, NUMBERS) == pytest.approx(np.mean(1 - ((GUESS - NUMBERS) ** 2).mean(0) / NUMBERS.var(0)))


def test_figures_of_numbers():
    for name, function in (("r2", "r2_score"), ("mae", "mean_absolute_error"), ("mse", "mean_squared_error")):
        assert streamed(name, GUESS, NUMBERS) == pytest.approx(theirs(function, NUMBERS, GUESS), rel=1e-9)
        column = streamed(name, GUESS[:, :1], NUMBERS[:, 0])
        assert column == pytest.approx(theirs(function, NUMBERS[:, 0], GUESS[:, 0]), rel=1e-9)


def test_logits_have_another_threshold():
    logits = SCORE - 0.5  # as good as logits here
    for stream in (F1, Precision, Recall):
        assert stream(threshold=0)(logits, YES) == stream()(SCORE, YES) != stream()(logits, YES)
    assert accuracy(logits, YES, threshold=0) == accuracy(SCORE, YES) != accuracy(logits, YES)
    assert ConfusionMatrix(0)(logits, YES == 1).tolist() == ConfusionMatrix()(SCORE, YES).tolist()


def test_names_stand_for_one_column():
    for metrics, error, message in (
        ([lambda o, t: 1.0, lambda o, t: 2.0], ValueError, "two metrics are called '<lambda>'"),
        (["accuracy", "accuracy"], ValueError, "two metrics are called 'accuracy'"),
        ({"loss": "accuracy"}, ValueError, "the history has a column called 'loss'"),
        ({3: "accuracy"}, TypeError, "names of metrics must be strings, got 3"),
    ):
        with pytest.raises(error, match=message):
            resolve(metrics)


def test_nothing_seen_is_nan():
    for name in set(STREAMS) - {"confusion_matrix"}:
        assert np.isnan(resolve([name])[name].result()), name
    assert np.isnan(RocAuc()(SCORE, np.ones(203))) and np.isnan(RocAuc()(np.full(203, np.nan), YES))


def test_callers_own_streams_are_not_touched():
    mine = F1("macro")
    mine.update(OUTPUT[:9], TARGET[:9])
    taken = resolve([mine])["f1"]
    assert not taken.counts.size
    taken.update(OUTPUT, TARGET)
    assert mine.counts.sum() == 9 and taken.counts.sum() == 203


def test_fit_keeps_arrays_in_the_history(capsys):
    fastnn.manual_seed(0)
    model = nn.Linear(5, 5)
    x = OUTPUT.astype(np.float32)
    history = fit(model, (x, TARGET), validation=(x[:50], TARGET[:50]), loss=functional.cross_entropy, epochs=2,
                  optimizer=optim.SGD(model.parameters(), lr=0.1),
                  metrics=["accuracy", "confusion_matrix", "f1_macro", ConfusionMatrix()])  # fmt: skip
    assert history["confusion_matrix"][-1].sum() == 203 and history["val_confusion_matrix"][-1].sum() == 50
    matrix = history["confusion_matrix"][-1]
    assert history["accuracy"][-1] == pytest.approx(np.trace(matrix) / 203)
    assert "f1_macro" in capsys.readouterr().err and "confusion" not in str(history) and "f1_macro" in str(history)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: F1()(OUTPUT, TARGET), "f1: there are 5 classes; .* 'f1_macro'"),
        (lambda: Precision("mean"), "precision: average must be one of binary, macro, micro, weighted, got 'mean'"),
        (lambda: Recall("macro")(OUTPUT, TARGET[:9]), r"\(203, 5\) needs a target of \(203,\), got \(9,\)"),
        (lambda: Recall("macro")(OUTPUT, TARGET + 5), r"recall: labels must be in 0..4, got 5..9"),
        (lambda: Recall("macro")(OUTPUT, TARGET / 2), "integers, got float64"),
        (lambda: F1()(SCORE, YES + 1), r"f1: output \(203,\) is for two classes, but there is a target of 2"),
        (lambda: RocAuc("micro"), "average must be 'macro' or 'weighted'"),
        (lambda: R2()(GUESS, NUMBERS[:5]), r"r2: output \(203, 3\) and target \(5, 3\)"),
        (lambda: MeanAbsoluteError()(GUESS, NUMBERS[:, 0]), r"mean_absolute_error: output \(203, 3\)"),
        (lambda: resolve(["f2"]), "unknown metric 'f2'; known are 'top5' .*'f1_macro'"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
