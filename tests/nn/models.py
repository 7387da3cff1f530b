"""Small image networks of the well-known kinds: written once, for fastnn and for PyTorch.

Each function takes the package (``import fastnn as torch`` or PyTorch itself) and gives a model of (B, 3, 16, 16)
images and 5 classes.
"""

from collections import OrderedDict
from functools import partial


def resnet(torch):
    """Residual blocks, with shortcuts of 1 x 1 convolutions (He et al., 2016)."""
    nn = torch.nn

    class Residual(nn.Module):
        widening: int = 2

        def __init__(self, inputs, width, stride=1, norm=nn.BatchNorm2d):
            super().__init__()
            outputs = width * self.widening
            self.narrow, self.norm_a = nn.Conv2d(inputs, width, 1, bias=False), norm(width)
            self.spatial = nn.Conv2d(width, width, 3, stride, padding=1, groups=2, bias=False)
            self.norm_b = norm(width)
            self.widen, self.norm_c = nn.Conv2d(width, outputs, kernel_size=(1, 1), bias=False), norm(outputs)
            self.act = nn.ReLU(inplace=True)
            self.shortcut = None
            if stride > 1 or inputs != outputs:
                self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), norm(outputs))

        def forward(self, x):
            y = self.act(self.norm_a(self.narrow(x)))
            y = self.act(self.norm_b(self.spatial(y)))
            y = self.norm_c(self.widen(y))
            y += x if self.shortcut is None else self.shortcut(x)
            return self.act(y)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Sequential(nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(True))
            self.pool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
            self.stages = nn.Sequential(*[Residual(*sizes) for sizes in ((8, 4), (8, 4), (8, 8, 2))])
            self.head = nn.Linear(16, 5)
            self.apply(self.initialize)

        @staticmethod
        def initialize(module):
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, Residual):
                nn.init.constant_(module.norm_c.weight, 0.5)

        def forward(self, images):
            features = self.stages(self.pool(self.stem(images)))
            return self.head(torch.flatten(nn.AdaptiveAvgPool2d((1, 1))(features), 1))

    return Net()


def mobilenet(torch):
    """Inverted residuals with hard swish, squeeze and excitation (Howard et al., 2019)."""
    nn, F = torch.nn, torch.nn.functional

    class Unit(nn.Sequential):
        def __init__(self, inputs, outputs, size=1, stride=1, groups=1, act=nn.Hardswish):
            conv = nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)
            super().__init__(conv, nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01))
            if act is not None:
                self.append(act(inplace=True))

    class Gate(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.squeeze, self.excite = nn.Conv2d(channels, 4, 1), nn.Conv2d(4, channels, 1)

        def forward(self, x):
            y = self.squeeze(F.adaptive_avg_pool2d(x, output_size=1))
            return x * F.hardsigmoid(self.excite(F.relu(y, inplace=True)), inplace=True)

    class Inverted(nn.Module):
        def __init__(self, inputs, hidden, outputs, stride, gated, act):
            super().__init__()
            self.residual = stride == 1 and inputs == outputs
            parts = [Unit(inputs, hidden, act=act), Unit(hidden, hidden, 5, stride, hidden, act)]
            parts += [Gate(hidden)] if gated else []
            self.parts = nn.Sequential(*parts, Unit(hidden, outputs, act=None))

        def forward(self, x):
            y = self.parts(x)
            if self.residual:
                y += x
            return y

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = nn.Sequential(
                Unit(3, 8, 3, 2),
                Inverted(8, 16, 8, 1, True, nn.ReLU),
                Inverted(8, 24, 12, 2, True, nn.Hardswish),
                Inverted(12, 24, 12, 1, False, nn.ReLU6),
                Unit(12, 24),
            )
            self.head = nn.Sequential(
                nn.Linear(24, 16), nn.SiLU(True), nn.Dropout(p=0.0, inplace=True), nn.Linear(16, 5)
            )

        def forward(self, images):
            return self.head(self.features(images).mean([2, 3]))

    return Net()


def densenet(torch):
    """Layers that see the outputs of all before them (Huang et al., 2017), in dictionaries of modules."""
    nn, F = torch.nn, torch.nn.functional

    def layer(inputs, growth):
        conv = nn.Conv2d(inputs, growth, 3, padding=1, bias=False)
        return nn.Sequential(OrderedDict(norm=nn.BatchNorm2d(inputs), act=nn.ReLU(inplace=True), conv=conv))

    class Dense(nn.ModuleDict):
        def __init__(self, count, inputs, growth):
            super().__init__({f"layer{i}": layer(inputs + i * growth, growth) for i in range(count)})

        def forward(self, x):
            seen = [x]
            for step in self.values():
                seen.append(step(torch.cat(seen, 1)))
            return torch.cat(seen, dim=1)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = nn.Sequential(OrderedDict(stem=nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)))
            self.features.add_module("dense", Dense(3, 8, 4))
            self.features.add_module("mix", nn.Conv2d(20, 10, kernel_size=1, bias=False))
            self.features.add_module("pool", nn.AvgPool2d(kernel_size=2, stride=2))
            self.features.add_module("norm", nn.BatchNorm2d(10))
            self.head = nn.Linear(10, 5)

        def forward(self, images):
            y = F.relu(self.features(images), inplace=True)
            return self.head(F.adaptive_avg_pool2d(y, (1, 1)).flatten(1))

    return Net()


def googlenet(torch):
    """Branches side by side (Szegedy et al., 2015), normalized channels, a second classifier in training."""
    nn, F = torch.nn, torch.nn.functional

    class Unit(nn.Module):
        def __init__(self, *sizes, **window):
            super().__init__()
            self.conv = nn.Conv2d(*sizes, bias=False, **window)
            self.norm = nn.BatchNorm2d(sizes[1], eps=0.001)

        def forward(self, x):
            return F.relu(self.norm(self.conv(x)), inplace=True)

    class Branches(nn.Module):
        def __init__(self, inputs):
            super().__init__()
            self.branches = nn.ModuleList([
                Unit(inputs, 4, kernel_size=1),
                nn.Sequential(Unit(inputs, 3, kernel_size=1), Unit(3, 6, kernel_size=3, padding=1)),
                nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1, ceil_mode=True), Unit(inputs, 2, kernel_size=1)),
            ])  # fmt: skip

        def forward(self, x):
            return torch.cat([branch(x) for branch in self.branches], 1)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mean", torch.tensor([0.3, 0.1, -0.2]), persistent=False)
            self.stem, self.pool = Unit(3, 8, kernel_size=7, stride=2, padding=3), nn.MaxPool2d(3, 2, ceil_mode=True)
            self.first, self.second = Branches(8), Branches(12)
            self.early, self.head = nn.Linear(12, 5), nn.Linear(12, 5)

        def forward(self, images):
            channels = [(images[:, i] - self.mean[i]) / (0.5 + i) for i in range(3)]
            x = self.first(self.pool(self.stem(torch.stack(channels, dim=1))))
            y = F.avg_pool2d(self.second(x), 4)
            y = self.head(y.view(y.size(0), -1))
            return y + 0.3 * self.early(x.mean((-2, -1))) if self.training else y

    return Net()


def shufflenet(torch):
    """Halves of channels, shuffled by view and transpose (Ma et al., 2018)."""
    nn = torch.nn

    def unit(inputs, outputs, **window):
        return [nn.Conv2d(inputs, outputs, bias=False, **window), nn.BatchNorm2d(outputs)]

    class Halves(nn.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            half, self.whole = outputs // 2, stride > 1
            start = inputs if self.whole else half
            window = {"kernel_size": 3, "stride": stride, "padding": 1}
            self.left = nn.Sequential()
            if self.whole:
                self.left.extend(unit(inputs, inputs, groups=inputs, **window) + unit(inputs, half, kernel_size=1))
            self.right = nn.Sequential(
                *unit(start, half, kernel_size=1), nn.ReLU(), *unit(half, half, groups=half, **window),
                *unit(half, half, kernel_size=1), nn.ReLU(inplace=True),
            )  # fmt: skip

        def forward(self, x):
            a, b = (x, x) if self.whole else x.chunk(2, dim=1)
            y = torch.cat((self.left(a), self.right(b)), dim=1)
            shape = y.size()
            pairs = y.view(shape[0], 2, shape[1] // 2, *shape[2:])
            return pairs.transpose(1, 2).contiguous().view(shape)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Sequential(*unit(3, 8, kernel_size=3, stride=2, padding=1))
            for i, (inputs, outputs) in enumerate([(8, 12), (12, 16)]):
                setattr(self, f"stage{i}", nn.Sequential(Halves(inputs, outputs, 2), Halves(outputs, outputs, 1)))
            self.head = nn.Linear(16, 5)

        def forward(self, images):
            return self.head(self.stage1(self.stage0(self.stem(images))).mean([2, 3]))

    return Net()


def convnext(torch):
    """Channels-last layer norms, permutations, a scale per channel (Liu et al., 2022)."""
    nn, F = torch.nn, torch.nn.functional

    class ChannelNorm(nn.LayerNorm):
        def forward(self, x):
            y = F.layer_norm(x.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps)
            return y.permute(0, 3, 1, 2)

    class Wide(nn.Module):
        def __init__(self, width, scale, norm=None):
            super().__init__()
            norm = norm or partial(nn.LayerNorm, eps=1e-6)
            self.depthwise = nn.Conv2d(width, width, 7, padding="same", groups=width)
            self.mlp = nn.Sequential(norm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
            self.scale = nn.Parameter(torch.ones(width, 1, 1) * scale)

        def forward(self, x):
            y = torch.permute(self.mlp(torch.permute(self.depthwise(x), [0, 2, 3, 1])), (0, 3, 1, 2))
            return x + self.scale * y

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = nn.Sequential(
                nn.Conv2d(3, 8, kernel_size=4, stride=4), ChannelNorm(8), Wide(8, 0.5),
                ChannelNorm(8), nn.Conv2d(8, 12, kernel_size=2, stride=2), Wide(12, 1e-6),
            )  # fmt: skip
            self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), ChannelNorm(12), nn.Flatten(1), nn.Linear(12, 5))
            for module in self.modules():
                if isinstance(module, nn.Conv2d | nn.Linear):
                    nn.init.trunc_normal_(module.weight, std=0.2)
                    nn.init.zeros_(module.bias)

        def forward(self, images):
            return self.head(self.features(images))

    return Net()


def unet(torch):
    """Take in what the encoder saw, cut and padded to fit (Ronneberger et al., 2015)."""
    nn, F = torch.nn, torch.nn.functional

    def twice(inputs, outputs):
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1), nn.InstanceNorm2d(outputs, affine=True), nn.LeakyReLU(0.2, True),
            nn.Conv2d(outputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.PReLU(outputs),
        )  # fmt: skip

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.down = nn.ModuleList([twice(3, 4), twice(4, 8)])
            self.bottom = twice(8, 8)
            self.up = nn.ModuleList([nn.ConvTranspose2d(8, 8, 2, stride=2), nn.Upsample(scale_factor=2)])
            self.merge = nn.ModuleList([twice(16, 8), twice(12, 4)])
            self.out = nn.Conv2d(4, 5, 1)
            self.line = nn.ParameterDict({"a": nn.Parameter(torch.ones(1)), "b": nn.Parameter(torch.full((1,), 0.5))})

        def forward(self, x):
            kept = []
            for layer in self.down:
                kept.append(layer(x))
                x = F.max_pool2d(kept[-1], 2)
            x = self.bottom(x) * self.line["a"] + self.line["b"]
            for up, merge in zip(self.up, self.merge, strict=True):
                x, skip = up(x), kept.pop()
                more = [skip.size(i) - x.size(i) for i in (3, 2)]
                x = F.pad(x, [n for total in more for n in (total // 2, total - total // 2)])
                x = merge(torch.cat([skip, x], dim=1))
            return self.out(x).amax(dim=(2, 3))

    return Net()


MODELS = {f.__name__: f for f in (resnet, mobilenet, densenet, googlenet, shufflenet, convnext, unet)}
