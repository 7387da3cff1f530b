"""Programs as people write them for PyTorch, with only their import lines changed: networks of images.

Bounds stand beside the worst of five seeds, as far from it as those spread.
"""

import argparse
import io

import numpy as np
import pytest

import fastnn as torch
import fastnn.nn as nn
import fastnn.nn.functional as F
import fastnn.optim as optim
from fastnn import Tensor
from fastnn.data import mnist_5k
from fastnn.optim.lr_scheduler import StepLR
from fastnn.utils.data import DataLoader, Dataset, TensorDataset, random_split

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def digits(count, pool=1):
    """Give the first images as (count, 1, 28, 28) / pool in [0, 1], and their labels."""
    images, labels = mnist_5k()
    x = torch.from_numpy(images[:count].reshape(-1, 1, 28, 28)).float()
    x = x / x.max()
    return F.avg_pool2d(x, pool) if pool > 1 else x, torch.from_numpy(labels[:count]).long()


# Classification, with a command line


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, kernel_size=3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.MaxPool2d(2, 2)
        )
        self.drop = nn.Dropout(p=0.1)
        self.classifier = nn.Linear(8 * 7 * 7, 10)

    def forward(self, x):
        x = self.features(x)
        x = x.view(x.size(0), -1)
        return self.classifier(self.drop(x))


def train_epoch(args, model, loader, optimizer, epoch, log):
    model.train()
    for step, (data, target) in enumerate(loader):
        data, target = data.to(device, non_blocking=True), target.to(device)
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(data), target)
        loss.backward()
        optimizer.step()
        if step % args.log_interval == 0:
            done = 100.0 * step / len(loader)
            log.append(f"epoch {epoch} [{step * len(data)}/{len(loader.dataset)} ({done:.0f}%)] loss {loss.item():.4f}")


@torch.no_grad()
def evaluate(model, loader):
    model.eval()
    loss, correct = 0.0, 0
    for data, target in loader:
        output = model(data.to(device))
        loss += F.cross_entropy(output, target, reduction="sum").item()
        prediction = output.argmax(dim=1, keepdim=True)
        correct += prediction.eq(target.view_as(prediction)).sum().item()
    return loss / len(loader.dataset), correct / len(loader.dataset)


def classify(argv):
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument("--gamma", type=float, default=0.7)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log-interval", type=int, default=10)
    args = parser.parse_args(argv)
    torch.manual_seed(args.seed)
    train_set, test_set = random_split(TensorDataset(*digits(1200, pool=2)), [1000, 200])
    train_loader = DataLoader(train_set, batch_size=args.batch_size, shuffle=True, pin_memory=False)
    test_loader = DataLoader(test_set, batch_size=100)
    model = ConvNet().to(device)
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    scheduler = StepLR(optimizer, step_size=1, gamma=args.gamma)
    log = []
    for epoch in range(1, args.epochs + 1):
        train_epoch(args, model, train_loader, optimizer, epoch, log)
        scheduler.step()
    return evaluate(model, test_loader), log, scheduler.get_last_lr()


def test_classification():
    (loss, accuracy), log, rates = classify(["--seed", "1"])
    assert accuracy > 0.85 and loss < 0.6  # 0.885, 0.42
    assert len(log) == 16 and log[0].startswith("epoch 1 [0/1000 (0%)] loss 2.")
    assert rates == pytest.approx([5e-3 * 0.7**4])


# A variational autoencoder


class VAE(nn.Module):
    def __init__(self, latent=4):
        super().__init__()
        self.fc1 = nn.Linear(196, 64)
        self.fc21, self.fc22 = nn.Linear(64, latent), nn.Linear(64, latent)
        self.fc3, self.fc4 = nn.Linear(latent, 64), nn.Linear(64, 196)

    def encode(self, x):
        h = F.relu(self.fc1(x))
        return self.fc21(h), self.fc22(h)

    def reparameterize(self, mu, logvar):
        if not self.training:
            return mu
        std = torch.exp(0.5 * logvar)
        return mu + torch.randn_like(std) * std

    def decode(self, z):
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z))))

    def forward(self, x):
        mu, logvar = self.encode(x.view(-1, 196))
        return self.decode(self.reparameterize(mu, logvar)), mu, logvar


def autoencode(seed):
    torch.manual_seed(seed)
    x, _ = digits(1000, pool=2)
    model, losses = VAE(), []
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(8):
        total = 0.0
        for i in torch.randperm(len(x)).split(50):
            recon, mu, logvar = model(x[i])
            bce = F.binary_cross_entropy(recon, x[i].view(-1, 196), reduction="sum")
            kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
            loss = bce + kld
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        losses.append(total / len(x))
    model.eval()
    with torch.no_grad():
        sample = model.decode(torch.randn(16, 4)).view(16, 1, 14, 14)
    return losses, sample


def test_variational_autoencoder():
    losses, sample = autoencode(0)
    assert losses[-1] < 0.6 * losses[0]  # 0.54
    assert sample.shape == (16, 1, 14, 14) and not sample.requires_grad
    assert 0 <= sample.min() and sample.max() <= 1


# Two networks against each other


def weights_init(m):
    name = m.__class__.__name__
    if name.find("Conv") != -1:
        nn.init.normal_(m.weight, 0.0, 0.05)
    elif name.find("BatchNorm") != -1:
        nn.init.normal_(m.weight, 1.0, 0.02)
        nn.init.zeros_(m.bias)


def adversaries(seed):
    torch.manual_seed(seed)
    x, _ = digits(320)
    x = F.interpolate(x, size=16, mode="bilinear", align_corners=False) * 2 - 1
    generator = nn.Sequential(
        nn.ConvTranspose2d(10, 16, 4, 1, 0, bias=False), nn.BatchNorm2d(16), nn.ReLU(True),
        nn.ConvTranspose2d(16, 8, 4, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(True),
        nn.ConvTranspose2d(8, 1, 4, 2, 1, bias=False), nn.Tanh(),
    ).to(device)  # fmt: skip
    critic = nn.Sequential(
        nn.Conv2d(1, 8, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(8, 16, 4, 2, 1, bias=False), nn.BatchNorm2d(16), nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(16, 1, 4, 1, 0, bias=False), nn.Sigmoid(), nn.Flatten(0),
    ).to(device)  # fmt: skip
    generator.apply(weights_init)
    critic.apply(weights_init)
    criterion = nn.BCELoss()
    optimizer_d = optim.Adam(critic.parameters(), lr=2e-3, betas=(0.5, 0.999))
    optimizer_g = optim.Adam(generator.parameters(), lr=2e-3, betas=(0.5, 0.999))
    history = []
    for real in x.chunk(10) * 2:
        critic.zero_grad()
        label = torch.full((real.size(0),), 1.0, dtype=torch.float, device=device)
        output = critic(real)
        loss_real = criterion(output, label)
        loss_real.backward()
        d_x = output.mean().item()
        fake = generator(torch.randn(real.size(0), 10, 1, 1, device=device))
        label.fill_(0.0)
        output = critic(fake.detach())
        loss_fake = criterion(output, label)
        loss_fake.backward()
        d_g = output.mean().item()
        optimizer_d.step()
        generator.zero_grad()
        label.fill_(1.0)
        loss_g = criterion(critic(fake), label)
        loss_g.backward()
        optimizer_g.step()
        history.append((d_x, d_g, (loss_real + loss_fake).item(), loss_g.item()))
    return history, fake


def test_adversarial_networks():
    history, fake = adversaries(0)
    d_x, d_g, loss_d, _ = history[-1]
    assert fake.shape == (32, 1, 16, 16) and fake.abs().max() <= 1 and np.isfinite(history).all()
    assert d_x - d_g > 0.1 and loss_d < history[0][2]  # 0.21, and 1.07 of 1.33


# Pairs of images


class Pairs(Dataset):
    def __init__(self, images, labels):
        self.images, self.groups = images, [torch.nonzero(labels == c).flatten() for c in range(4)]

    def __len__(self):
        return 512

    def __getitem__(self, index):
        first = index // 2 % 4
        second = first if index % 2 else (first + 1 + index // 8 % 3) % 4
        a, b = (self.groups[c][torch.randint(len(self.groups[c]), (1,)).item()] for c in (first, second))
        return self.images[a], self.images[b], torch.tensor(index % 2, dtype=torch.float)


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(196, 64), nn.ReLU(), nn.Linear(64, 16))

    def forward(self, a, b):
        return F.pairwise_distance(self.body(a), self.body(b))


def siamese(seed):
    torch.manual_seed(seed)
    x, y = digits(800, pool=2)
    loader = DataLoader(Pairs(x[:600], y[:600]), batch_size=32, shuffle=True)
    model = Siamese()
    optimizer = optim.Adadelta(model.parameters(), lr=1.0)
    for _ in range(6):
        for a, b, same in loader:
            optimizer.zero_grad()
            distance = model(a, b)
            loss = (same * distance**2 + (1 - same) * F.relu(2.0 - distance) ** 2).mean()
            loss.backward()
            optimizer.step()
    right = total = 0
    with torch.inference_mode():
        for a, b, same in DataLoader(Pairs(x[600:], y[600:]), batch_size=128):
            right += ((model(a, b) < 1.0).float() == same).sum().item()
            total += len(same)
    return right / total


def test_siamese_network():
    assert siamese(0) > 0.88  # 0.912


# A residual network: saved, loaded, frozen, given another head


class Block(nn.Module):
    def __init__(self, inplanes, planes, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.shortcut = nn.Identity()
        if stride != 1 or inplanes != planes:
            self.shortcut = nn.Sequential(nn.Conv2d(inplanes, planes, 1, stride, bias=False), nn.BatchNorm2d(planes))

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return F.relu(out)


class ResNet(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.layers = nn.ModuleList([Block(8, 8), Block(8, 16, stride=2)])
        self.pool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(16, num_classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(m, (nn.BatchNorm2d, nn.GroupNorm)):
                nn.init.constant_(m.weight, 1)
                nn.init.constant_(m.bias, 0)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for layer in self.layers:
            x = layer(x)
        return self.fc(torch.flatten(self.pool(x), 1))


def test_residual_network_with_another_head():
    torch.manual_seed(0)
    x, target = torch.randn(8, 3, 12, 12), torch.randint(0, 3, (8,))
    first, second = ResNet(), ResNet()
    first(x)  # running statistics
    memory = io.BytesIO()
    torch.save({"net": first.state_dict(), "acc": 0.5}, memory)
    memory.seek(0)
    saved = torch.load(memory, map_location=device, weights_only=True)
    missing, unexpected = second.load_state_dict(saved["net"], strict=True)
    assert not missing and not unexpected and saved["acc"] == 0.5
    first.eval()
    second.eval()
    assert torch.equal(first(x), second(x))
    for p in second.parameters():
        p.requires_grad = False
    second.fc = nn.Linear(second.fc.in_features, 3)
    optimizer = optim.SGD(filter(lambda p: p.requires_grad, second.parameters()), lr=0.5, momentum=0.9)
    losses = []
    for _ in range(30):
        loss = F.cross_entropy(second(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.75 * losses[0]  # 0.48
    assert all(p.grad is None for p in second.stem.parameters())
    assert torch.equal(first.layers[1].conv2.weight, second.layers[1].conv2.weight)
    assert sum(p.numel() for p in second.parameters() if p.requires_grad) == 51


# An image whose features are another's


def test_style_of_an_image():
    torch.manual_seed(0)
    features = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.Tanh()).requires_grad_(False)

    def gram(x):
        a, b, c, d = x.size()
        f = features(x).view(a, 6, c * d)
        return torch.bmm(f, f.transpose(1, 2)).div(6 * c * d)

    style, image = digits(2, pool=2)[0].split(1)
    target, image = gram(style), image.clone().requires_grad_(True)
    optimizer, losses = optim.LBFGS([image], max_iter=10, line_search_fn="strong_wolfe"), []

    def closure():
        optimizer.zero_grad()
        loss = 1e6 * F.mse_loss(gram(image), target)
        loss.backward()
        losses.append(loss.item())
        return loss

    for _ in range(4):
        optimizer.step(closure)
    with torch.no_grad():
        image.clamp_(0, 1)
    assert image.is_leaf and all(p.grad is None for p in features.parameters())
    assert losses[-1] < 1e-4 * losses[0] and 0 <= image.min() and image.max() <= 1
