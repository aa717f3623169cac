"""The networks of spfde in PyTorch: `load_state_dict` takes the arrays of `spfde export --out FILE.safetensors`.

The modules have torchvision's names (`conv1`, `bn1`, `layer1.0.conv1`, `downsample.0`, `fc`), or those of PyTorch's
tutorials (`conv1`, `fc1`). Inputs are images normalised by mean and standard deviation of each channel.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, relu


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut, which is a 1x1 convolution where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(relu(self.bn1(self.conv1(x)))))
        return relu(y + self.downsample(x))


class ResNet(nn.Module):
    """`resnet20`, `resnet32`, `resnet56`: so many blocks (3, 5, 9) in each of three stages."""

    def __init__(self, channels: int, classes: int, blocks: int = 3, width: int = 1) -> None:
        super().__init__()
        inputs = 16 * width
        self.conv1 = nn.Conv2d(channels, inputs, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inputs)
        for stage in range(3):
            outputs = (16 << stage) * width
            strides = [2 if stage > 0 else 1] + [1] * (blocks - 1)
            layer = [Block(inputs if place == 0 else outputs, outputs, s) for place, s in enumerate(strides)]
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layer))
            inputs = outputs
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean((2, 3)))


class Vgg(nn.Module):
    """`vgg16`, `vgg19` ((2, 2, 4, 4, 4)): so many convolutions in each of five stages."""

    def __init__(
        self, channels: int, classes: int, stages: tuple[int, ...] = (2, 2, 3, 3, 3), width: int = 1
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for stage, (count, outputs) in enumerate(zip(stages, (64, 128, 256, 512, 512))):
            layers += [nn.MaxPool2d(2)] if stage > 0 else []
            for _ in range(count):
                convolution = nn.Conv2d(channels, outputs * width, 3, padding=1, bias=False)
                layers += [convolution, nn.BatchNorm2d(outputs * width), nn.ReLU()]
                channels = outputs * width
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).mean((2, 3)))


class LeNet5(nn.Module):
    """`lenet5`, for images of so many channels and rows, which are square."""

    def __init__(self, channels: int, classes: int, side: int = 28, width: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 6 * width, 5, padding=2)
        self.conv2 = nn.Conv2d(6 * width, 16 * width, 5)
        left = (side // 2 - 4) // 2
        self.fc1 = nn.Linear(16 * width * left * left, 120 * width)
        self.fc2 = nn.Linear(120 * width, 84 * width)
        self.fc3 = nn.Linear(84 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = max_pool2d(relu(self.conv1(x)), 2)
        x = max_pool2d(relu(self.conv2(x)), 2)
        x = relu(self.fc1(torch.flatten(x, 1)))
        return self.fc3(relu(self.fc2(x)))


class Mlp(nn.Module):
    """`mlp`, for images of so many numbers."""

    def __init__(self, numbers: int, classes: int, width: int = 1) -> None:
        super().__init__()
        self.fc1 = nn.Linear(numbers, 1024 * width)
        self.fc2 = nn.Linear(1024 * width, 1024 * width)
        self.fc3 = nn.Linear(1024 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc3(relu(self.fc2(relu(self.fc1(torch.flatten(x, 1))))))
