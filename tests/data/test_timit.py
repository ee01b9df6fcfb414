"""TIMIT in the LDC layout: phones, sound of both kinds, pictures of it, and what is wrong with files in words."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from idealfit.config import Composer
from idealfit.data import TIMIT
from idealfit.data.sources.timit import RATE_HZ, around, log_mel, mel_filters, phones, read_sound
from idealfit.spec import DataError, Objective
from idealfit.train import preflight

LENGTH = 2400  # samples of a phone: 150 ms
HERTZ = {"h#": 0, "sh": 3500, "iy": 300, "ix": 500, "q": 100, "zh": 3000}


def sphere(path: Path, samples: NDArray[np.int16], order: str = "01", coding: str = "") -> None:
    """A file as NIST SPHERE, its header like that of a published one."""
    facts = [
        *("database_id -s5 TIMIT", "database_version -s3 1.0", "channel_count -i 1"),
        *(f"sample_count -i {len(samples)}", f"sample_rate -i {RATE_HZ}", "sample_n_bytes -i 2"),
        *(
            f"sample_byte_format -s2 {order}",
            "sample_sig_bits -i 16",
            *([f"sample_coding -s26 {coding}"] if coding else []),
        ),
    ]
    head = "\n".join(["NIST_1A", "   1024", *facts, "end_head", ""])
    path.write_bytes(head.encode().ljust(1024) + samples.astype("<i2" if order == "01" else ">i2").tobytes())


def riff(path: Path, samples: NDArray[np.int16], rate: int = RATE_HZ) -> None:
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(samples.astype("<i2").tobytes())


def sentence(folder: Path, stem: str, names: list[str], *, is_riff: bool) -> None:
    """A tone for each phone."""
    folder.mkdir(parents=True, exist_ok=True)
    time = np.arange(LENGTH) / RATE_HZ
    tones = [np.sin(2 * np.pi * HERTZ[name] * time) * 8000 for name in names]
    lines = [f"{place * LENGTH} {(place + 1) * LENGTH} {name}\n" for place, name in enumerate(names)]
    (folder / f"{stem}.PHN").write_text("".join(lines))
    (riff if is_riff else sphere)(folder / f"{stem}.WAV", np.concatenate(tones).astype(np.int16))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "TIMIT"
    words = ["h#", "sh", "iy", "q", "ix", "zh", "h#"]
    for number, speaker in enumerate(("FCJF0", "MKLS0", "FSAH0")):
        for part in ("TRAIN", "TEST"):
            folder = root / part / "DR1" / speaker
            sentence(folder, "SA1", words, is_riff=False)
            sentence(folder, f"SX{37 + number}", words, is_riff=bool(number % 2))
            sentence(folder, f"SI{64 + number}", words, is_riff=False)
    return root


def test_phones_become_pictures_with_their_names(root: Path) -> None:
    arrays = TIMIT(root, num_mels=24, num_frames=8).read()
    assert arrays.class_names == ("ih", "iy", "sh", "sil"), "folded, without the glottal stop"
    assert arrays.images.shape == (6 * 6, 1, 24, 8), "six sentences; those of dialect are left out"
    names = [arrays.class_names[label] for label in arrays.labels[:6]]
    assert names == ["sil", "sh", "iy", "ih", "sh", "sil"]
    assert arrays.test_images is not None
    assert len(arrays.test_images) == 36
    high, low = (arrays.images[index, 0].sum(axis=1).argmax() for index in (1, 2))
    assert high < low, "the hiss of sh lies above the tone of iy"


def test_all_phones_and_sentences_can_be_taken(root: Path) -> None:
    arrays = TIMIT(root, fold=False, dialect_sentences=True).read()
    assert arrays.class_names == ("h#", "ix", "iy", "q", "sh", "zh")
    assert arrays.images.shape == (9 * 7, 1, 40, 32)


def test_sphere_and_riff_hold_the_same_samples(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(-32768, 32767, 5000, dtype=np.int16)
    sphere(tmp_path / "a.WAV", samples)
    sphere(tmp_path / "b.WAV", samples, order="10")
    riff(tmp_path / "c.wav", samples)
    for path in tmp_path.iterdir():
        assert np.array_equal(read_sound(path), samples.astype(np.float32) / 32768), path.name


def test_a_tone_lies_in_its_mel_band() -> None:
    filters = mel_filters(40)
    for hertz in (250, 1000, 4000):
        tone = np.sin(2 * np.pi * hertz * np.arange(RATE_HZ) / RATE_HZ).astype(np.float32)
        picture = log_mel(around(tone, RATE_HZ // 2, 20), filters)
        assert picture.shape == (40, 20)
        band = 39 - picture.astype(int).sum(axis=1).argmax()  # the lowest band is the last row
        mel = 2595 * np.log10(1 + hertz / 700) / (2595 * np.log10(1 + 8000 / 700)) * 41 - 1
        assert abs(band - mel) <= 1
    assert around(np.ones(10, np.float32), 0, 4).sum() == 10, "beyond the sound there is silence"


def test_a_network_trains_on_phones(root: Path, tmp_path: Path) -> None:
    keys = [
        "data=timit",
        f"data.root={root}",
        f"data.cache_dir={tmp_path}/cache",
        "trainer.accelerator=cpu",
        "model=cnn",
    ]
    facts = preflight(Composer("train", keys).trial_config(), objective=Objective())
    assert (facts["image_shape"], facts["num_classes"]) == ([1, 40, 32], 4)
    with pytest.raises(DataError, match="no pictures, so they have no brightness"):
        preflight(Composer("train", [*keys, "task=unit_regression"]).trial_config(), objective=Objective())


def test_damage_is_named(root: Path, tmp_path: Path) -> None:
    folder = root / "TRAIN" / "DR1" / "FCJF0"
    silence = np.zeros(100, np.int16)
    sound, lines = folder / "SX37.WAV", folder / "SX37.PHN"
    riff(sound, silence, rate=8000)
    with pytest.raises(DataError, match=r"SX37.WAV is no sound of 16 bits at 16000 Hz .*8000 Hz"):
        TIMIT(root).read()
    sphere(sound, silence, coding="pcm,embedded-shorten-v2.00")
    with pytest.raises(DataError, match=r"sample_coding is pcm,embedded-shorten-v2.00: uncompress it first"):
        read_sound(sound)
    sphere(sound, silence)
    sound.write_bytes(sound.read_bytes()[:-50])
    with pytest.raises(DataError, match="ends after 75 of 100 samples"):
        read_sound(sound)
    lines.write_text("0 100 h#\n100 x sh\n")
    with pytest.raises(DataError, match=r"SX37.PHN, line 2 is no phone"):
        phones(lines)
    sound.unlink()
    with pytest.raises(DataError, match=r"no sound SX37.WAV beside"):
        TIMIT(root).identity()
    with pytest.raises(DataError, match=r"no TRAIN in .*Set data.root"):
        TIMIT(tmp_path / "elsewhere").identity()
