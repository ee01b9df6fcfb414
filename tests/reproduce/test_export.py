"""An exported run works where idealfit is not installed."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from idealfit.models import CNN, KNN, MLP, LeNet, ResNet
from idealfit.provenance import Code, Machine, Provenance
from idealfit.reproduce.export import Exportable, export
from idealfit.reproduce.program import trace
from idealfit.spec import ConfigError, StudyError

SHAPE = (3, 16, 16)
MEAN, STD = [120.0, 110.0, 100.0], [60.0, 61.0, 62.0]
BLOCKED = ("idealfit", "lightning", "hydra", "omegaconf", "optuna", "mlflow", "torchvision", "sklearn", "yaml")


class OwnNet(nn.Module):
    """What a user may write: constants, buffers that are not saved, sizes, other inputs of shapes, names of ours."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Linear(3 * 16 * 16, 5)
        self.register_buffer("images", torch.full((5,), 0.5), persistent=False)
        self.images: Tensor
        self.attention = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)

    def forward(self, images: Tensor) -> Tensor:
        attended = self.attention(images[:, 0]).mean((1, 2))
        logits = self.weights(images.view(images.shape[0], -1)) * self.images + torch.tensor([1.0, 2, 3, 4, 5])
        masked = logits.masked_fill(torch.arange(5, device=images.device) > 7, float("-inf"))
        result: Tensor = masked + attended[:, None]
        return result


def neighbours(distance: str, **knobs: Any) -> KNN:
    """Of 40 images."""
    net = KNN(**knobs, k=3, distance=distance)
    net.fit(torch.randn(40, *SHAPE), torch.arange(40) % 5)
    return net


def networks() -> dict[str, nn.Module]:
    knobs: dict[str, Any] = {"image_shape": SHAPE, "num_classes": 5}
    return {
        "mlp": MLP(**knobs, depth=2, dropout=0.3),
        "cnn": CNN(**knobs, depth=2, dropout=0.3),
        "lenet": LeNet(**knobs),
        "resnet": ResNet(**knobs, dropout=0.3),
        "knn_l1": neighbours("l1", **knobs),
        "knn_l2": neighbours("l2", **knobs),
        "own": OwnNet(),
    }


def exportable(network: nn.Module, folder: Path, **changes: Any) -> Exportable:
    """A run whose best weights lie in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), folder / "best.pt")
    run = Exportable(
        label="pets/7",
        config={
            "seed": 0,
            "data": {"_target_": "idealfit.data.ImageFolder", "root": "pets", "batch_size": 32},
            "model": {"_target_": "idealfit.models.MLP", "depth": 2},
            "loss": {"_target_": "torch.nn.CrossEntropyLoss"},
        },
        facts={
            "image_shape": list(SHAPE),
            "num_classes": 5,
            "class_names": ["cat", "dog", 'a "bird"', "x|y", "naïve"],
            "data_fingerprint": "d" * 64,
            "num_train_images": 80,
            "num_val_images": 20,
        },
        network=network,
        weights=folder / "best.pt",
        normalization=(MEAN, STD),
        summaries={"best/val_accuracy": 0.9},
    )
    return replace(run, **changes)


def run_without_idealfit(code: str, *arguments: str) -> str:
    """Run `code` in a process that cannot import idealfit or anything else that predict.py should not need."""
    block = f"import sys; sys.modules.update(dict.fromkeys({BLOCKED!r}))\n"
    done = subprocess.run([sys.executable, "-c", block + code, *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, nn.Module]]:
    """All networks, trained a little so that batch norm has seen something, and exported."""
    root = tmp_path_factory.mktemp("exported")
    torch.manual_seed(0)
    nets = networks()
    for name, network in nets.items():
        network.train()
        with torch.no_grad():
            network(torch.randn(8, *SHAPE))
        export(exportable(network, root / "records" / name), root / name)
    return root, nets


def test_every_network_predicts_the_same_without_idealfit(exported: tuple[Path, dict[str, nn.Module]]) -> None:
    root, nets = exported
    images = torch.randint(0, 256, (7, *SHAPE), dtype=torch.uint8)
    torch.save(images, root / "images.pt")
    code = (
        "import json, runpy, torch; from pathlib import Path; root = Path(sys.argv[1]); answers = {}\n"
        "images = torch.load(root / 'images.pt', weights_only=True)\n"
        "for name in sys.argv[2:]:\n"
        "    script = runpy.run_path(str(root / name / 'predict.py'))\n"
        "    answers[name] = [script['predict'](images).tolist(), script['predict'](images[:1]).tolist()]\n"
        "print(json.dumps(answers))"
    )
    answers = json.loads(run_without_idealfit(code, str(root), *nets))
    normalised = (images.float() - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)
    for name, network in nets.items():
        with torch.inference_mode():
            expected = network.eval()(normalised).softmax(1)
        torch.testing.assert_close(torch.tensor(answers[name][0]), expected, rtol=1e-4, atol=1e-6, msg=name)
        torch.testing.assert_close(torch.tensor(answers[name][1]), expected[:1], rtol=1e-4, atol=1e-6, msg=name)


def test_the_script_classifies_image_files(exported: tuple[Path, dict[str, nn.Module]], tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a photo.png")
    Image.fromarray(pixels[..., 0]).save(tmp_path / "grey.png")
    code = "import runpy; sys.argv[0] = 'predict.py'; runpy.run_path(sys.argv.pop(1), run_name='__main__')"
    script = exported[0] / "lenet" / "predict.py"
    out = run_without_idealfit(code, str(script), str(tmp_path / "a photo.png"), str(tmp_path / "grey.png"))
    assert [line.rpartition("/")[2].partition(":")[0] for line in out.splitlines()] == ["a photo.png", "grey.png"]
    assert out.splitlines()[0].count(",") == 2


def test_the_script_reads_images_as_training_did(exported: tuple[Path, dict[str, nn.Module]], tmp_path: Path) -> None:
    import runpy

    from idealfit.data.sources.pictures import decode

    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (40, 30, 4), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "transparent.png")
    Image.fromarray(pixels[..., :3]).save(tmp_path / "photo.jpg")
    Image.fromarray(pixels[..., :3]).convert("P").save(tmp_path / "palette.png")
    Image.fromarray(rng.integers(0, 65536, (40, 30), dtype=np.uint16)).save(tmp_path / "deep.png")
    script = runpy.run_path(str(exported[0] / "lenet" / "predict.py"))
    for path in sorted(tmp_path.glob("*.*g")):
        np.testing.assert_array_equal(script["read"](path).numpy(), decode(path, (16, 16), 3), err_msg=path.name)


def test_the_folder_holds_everything(exported: tuple[Path, dict[str, nn.Module]]) -> None:
    folder = exported[0] / "mlp"
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "config.yaml",
        "data_card.md",
        "predict.py",
        "requirements.txt",
        "weights.safetensors",
    ]
    assert yaml.safe_load((folder / "config.yaml").read_text())["model"]["depth"] == 2
    torch.testing.assert_close(load_file(folder / "weights.safetensors"), dict(exported[1]["mlp"].state_dict()))
    assert f"torch=={torch.__version__.partition('+')[0]}\n" in (folder / "requirements.txt").read_text()
    card = (folder / "data_card.md").read_text()
    assert "| 3 | x\\|y |" in card
    assert "3 x 16 x 16" in card
    assert "| training images | 80 |" in card
    assert "# pets/7" in (folder / "README.md").read_text()


def test_recorded_versions_win_over_installed_ones(tmp_path: Path) -> None:
    provenance = Provenance(
        idealfit="0.1.0",
        idealfit_sha256="a" * 64,
        code=Code(state="git", commit="c" * 40, dirty=True),
        machine=Machine(python="CPython 3.11.7", os="Linux", architecture="x86_64", cpu="Xeon"),
        packages={"torch": "2.6.0+cpu", "mine": "1.0", "numpy": "1.26.4"},
        package_origins={"mine": "editable"},
    )
    run = exportable(LeNet(image_shape=SHAPE, num_classes=5), tmp_path, provenance=provenance)
    assert "environment.txt" in export(run, tmp_path / "out")
    assert "torch==2.6.0\n" in (tmp_path / "out" / "requirements.txt").read_text()
    assert "# mine==1.0  (editable" in (tmp_path / "out" / "environment.txt").read_text()
    assert f"code of commit {'c' * 40} with uncommitted changes" in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.parametrize(
    ("loss", "ending"),
    [("CrossEntropyLoss", ".softmax(1)"), ("BCEWithLogitsLoss", ".sigmoid()"), ("MultiMarginLoss", "")],
)
def test_scores_fit_the_loss(tmp_path: Path, loss: str, ending: str) -> None:
    run = exportable(LeNet(image_shape=SHAPE, num_classes=5), tmp_path)
    export(replace(run, config=run.config | {"loss": {"_target_": f"torch.nn.{loss}"}}), tmp_path / "out")
    assert f"    return logits{ending}\n" in (tmp_path / "out" / "predict.py").read_text()


def test_a_data_module_of_ones_own_is_pointed_out(tmp_path: Path) -> None:
    export(exportable(LeNet(image_shape=SHAPE, num_classes=5), tmp_path, normalization=None), tmp_path / "out")
    assert "put that module's transform there" in (tmp_path / "out" / "README.md").read_text()
    assert "STD = [0.0, 0.0, 0.0], [255.0, 255.0, 255.0]" in (tmp_path / "out" / "predict.py").read_text()


def test_names_from_a_record_stay_text(tmp_path: Path) -> None:
    evil = "\"]; import os; os.system('touch /tmp/evil') #\n</script>"
    run = exportable(LeNet(image_shape=SHAPE, num_classes=5), tmp_path, label='x"""\nimport os@CLASSES@')
    export(replace(run, facts=run.facts | {"class_names": [evil] * 5}), tmp_path / "out")
    namespace: dict[str, Any] = {"__file__": str(tmp_path / "out" / "predict.py"), "__name__": "predict"}
    text = (tmp_path / "out" / "predict.py").read_text()
    exec(compile(text, "predict.py", "exec"), namespace)
    assert namespace["CLASSES"] == [evil] * 5
    assert "os" not in namespace


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    run = exportable(LeNet(image_shape=SHAPE, num_classes=5), tmp_path)
    with pytest.raises(StudyError, match="is there already"):
        export(run, tmp_path)
    (tmp_path / "empty").mkdir()
    export(run, tmp_path / "empty")
    assert (tmp_path / "empty" / "predict.py").exists()


def test_missing_damaged_and_foreign_weights_are_told(tmp_path: Path) -> None:
    run = exportable(LeNet(image_shape=SHAPE, num_classes=5), tmp_path)
    with pytest.raises(StudyError, match="has no weights to export"):
        export(replace(run, weights=tmp_path / "gone.pt"), tmp_path / "out")
    with pytest.raises(StudyError, match="does not hold the weights"):
        export(replace(run, network=MLP(image_shape=SHAPE, num_classes=5)), tmp_path / "out")
    (tmp_path / "best.pt").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(StudyError, match="does not hold the weights"):
        export(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


class Branches(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)[:, :5] if images.sum() > 0 else images.flatten(1)[:, 5:10]


class TwoHeads(nn.Module):
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return images.mean(1), images.mean(2)


class Noisy(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)[:, :5] + torch.randn(5)


@pytest.mark.parametrize(
    ("network", "message"),
    [(Branches(), "must not depend on the values"), (TwoHeads(), "gives a tuple"), (Noisy(), "not compute the same")],
)
def test_a_network_that_cannot_be_exported_is_told(network: nn.Module, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        trace(network, SHAPE)
