"""TIMIT: spoken phones as pictures of their sound, from the LDC layout."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from idealfit.data.source import ImageArrays, Images, ImageSource, Labels, file_identity
from idealfit.data.sources.arguments import checked_whole
from idealfit.spec import JSON, DataError, sha256_of

RATE_HZ = 16_000
WINDOW, HOP = 400, 160  # samples: 25 ms every 10 ms
NUM_FFT = 512
RANGE_DB = 80.0  # below the loudest of a picture everything is black
FOLDED = {
    **dict.fromkeys(("bcl", "dcl", "gcl", "pcl", "tcl", "kcl", "h#", "pau", "epi"), "sil"),
    **{"ux": "uw", "axr": "er", "ax-h": "ah", "ax": "ah", "ix": "ih", "em": "m", "en": "n", "nx": "n", "eng": "ng"},
    **{"hv": "hh", "el": "l", "zh": "sh", "ao": "aa", "q": ""},
}
"""The 61 phones folded to 39 (Lee and Hon, 1989); the glottal stop is left out."""
SPHERE = b"NIST_1A\n"
PARTS = ("train", "test")
Samples = NDArray[np.float32]
Phone = tuple[int, int, str]
"""First and last sample, and name."""


@final
class TIMIT(ImageSource):
    """Phones as log-mel pictures `[1, num_mels, num_frames]`: the sound around the middle of each phone.

    Files are `ROOT/TRAIN/DR*/SPEAKER/SENTENCE.PHN` with the sound beside them, `.WAV` as NIST SPHERE or RIFF, in upper
    or lower case; `ROOT/TEST`, of other speakers, is the published test set. A phone is a line `FIRST LAST NAME`, in
    samples at 16 kHz.

    Args:
        root: The folder that holds TRAIN and TEST.
        num_mels: Bands between 0 and 8 kHz on the mel scale: the height of a picture.
        num_frames: Frames of 10 ms: the width.
        fold: Fold the 61 phones to the usual 39 classes.
        dialect_sentences: Take the two sentences that all speakers read (SA) too, which are usually left out.

    Raises:
        DataError: An argument makes no sense.
    """

    has_pixels = False

    def __init__(
        self,
        root: str | Path,
        num_mels: int = 40,
        num_frames: int = 32,
        fold: bool = True,
        dialect_sentences: bool = False,
    ) -> None:
        self.root = Path(root).expanduser()
        self.num_mels = checked_whole("num_mels", num_mels, 8)
        self.num_frames = checked_whole("num_frames", num_frames, 4)
        self.fold = fold
        self.dialect_sentences = dialect_sentences

    def identity(self) -> JSON:
        """See `ImageSource`."""
        keys = ("num_mels", "num_frames", "fold", "dialect_sentences")
        return {"files": sha256_of(self.files())} | {key: getattr(self, key) for key in keys}

    def files(self) -> list[Any]:
        """See `ImageSource`."""
        pairs = [pair for part in PARTS for pair in self._sentences(part)]
        return file_identity(self.root, [path for pair in pairs for path in pair])

    def read(self) -> ImageArrays:
        """See `ImageSource`. One sentence is in memory at a time."""
        found = {part: [(sound, self._phones(path)) for path, sound in self._sentences(part)] for part in PARTS}
        names = tuple(sorted({phone for _, lines in found["train"] for _, _, phone in lines}))
        parts = {part: self._decoded(part, sentences, names) for part, sentences in found.items()}
        return ImageArrays(*parts["train"], names, *parts["test"])

    def _phones(self, path: Path) -> list[Phone]:
        lines = phones(path)
        if self.fold:
            lines = [(first, last, FOLDED.get(name, name)) for first, last, name in lines]
        return [line for line in lines if line[2]]

    def _decoded(
        self, part: str, sentences: Sequence[tuple[Path, list[Phone]]], names: tuple[str, ...]
    ) -> tuple[Images, Labels]:
        places = {name: place for place, name in enumerate(names)}
        labels = [name for _, lines in sentences for _, _, name in lines]
        if unknown := sorted(set(labels) - set(names)):
            raise DataError(f"TIMIT: phone {unknown[0]!r} is in {part} only")
        images = self.empty_images(len(labels), 1, self.num_mels, self.num_frames)
        filters, place = mel_filters(self.num_mels), 0
        for sound, lines in sentences:
            samples = read_sound(sound)
            for first, last, _ in lines:
                images[place, 0] = log_mel(around(samples, (first + last) // 2, self.num_frames), filters)
                place += 1
        return images, np.array([places[name] for name in labels], dtype=np.int64)

    def _sentences(self, part: str) -> list[tuple[Path, Path]]:
        """Phones and sound of each sentence, in order."""
        folder = next((self.root / name for name in (part.upper(), part) if (self.root / name).is_dir()), None)
        if folder is None:
            raise DataError(
                f"TIMIT: no {part.upper()} in {self.root}. Set data.root to the folder with TRAIN and TEST."
            )
        found = sorted(path for path in folder.rglob("*") if path.suffix.lower() == ".phn")
        found = [path for path in found if self.dialect_sentences or not path.stem.lower().startswith("sa")]
        if not found:
            raise DataError(f"TIMIT: no sentence (*.PHN) in {folder}.")
        return [(path, _sound_of(path)) for path in found]


def _sound_of(path: Path) -> Path:
    names = (f"{path.stem}{suffix}" for suffix in (".WAV", ".wav", f"{path.suffix}.wav", ".WAV.wav"))
    found = next((path.with_name(name) for name in names if path.with_name(name).is_file()), None)
    if found is None:
        raise DataError(f"TIMIT: no sound {path.stem}.WAV beside {path}.")
    return found


def phones(path: Path) -> list[Phone]:
    """The phones of a sentence, in order.

    Raises:
        DataError: A line is something else.
    """
    found = []
    for number, line in enumerate(_text(path).splitlines(), 1):
        words = line.split()
        if not words:
            continue
        if len(words) != 3 or not (words[0].isdecimal() and words[1].isdecimal()) or int(words[0]) > int(words[1]):
            raise DataError(f"{path}, line {number} is no phone (FIRST LAST NAME): {line!r:.80}.")
        found.append((int(words[0]), int(words[1]), words[2].lower()))
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}.") from error


def read_sound(path: Path) -> Samples:
    """The samples of a `.WAV`, NIST SPHERE or RIFF, of 16 bits at 16 kHz: float32 `[N]` from -1 to 1.

    Raises:
        DataError: It is damaged, or of another kind.
    """
    try:
        with path.open("rb") as file:
            is_sphere = file.read(len(SPHERE)) == SPHERE
        samples = _sphere(path) if is_sphere else _riff(path)
    except (OSError, EOFError, ValueError, KeyError, wave.Error) as error:
        raise DataError(f"{path} is no sound of 16 bits at {RATE_HZ} Hz in one channel: {error}.") from error
    return samples.astype(np.float32) / 32768.0


def _riff(path: Path) -> NDArray[np.int16]:
    with wave.open(str(path), "rb") as sound:
        facts = (sound.getframerate(), sound.getsampwidth(), sound.getnchannels())
        if facts != (RATE_HZ, 2, 1):
            raise ValueError(f"it has {facts[0]} Hz, {8 * facts[1]} bits, {facts[2]} channels")
        return np.frombuffer(sound.readframes(sound.getnframes()), "<i2")


def _sphere(path: Path) -> NDArray[np.int16]:
    """NIST SPHERE: a header of lines `NAME -TYPE VALUE`, its length in the second line, then the samples."""
    content = path.read_bytes()
    length = int(content[len(SPHERE) : 2 * len(SPHERE)])
    lines = [line.split(maxsplit=2) for line in content[:length].decode("ascii").split("end_head")[0].splitlines()[2:]]
    facts = {words[0]: words[2] for words in lines if len(words) == 3 and words[1].startswith("-")}
    for name, wanted in (("sample_rate", str(RATE_HZ)), ("sample_n_bytes", "2"), ("channel_count", "1")):
        if facts.get(name, wanted) != wanted:
            raise ValueError(f"{name} is {facts[name]}")
    if facts.get("sample_coding", "pcm") != "pcm":
        raise ValueError(f"sample_coding is {facts['sample_coding']}: uncompress it first, by NIST's w_decode -o pcm")
    order = {"01": "<i2", "10": ">i2"}[facts.get("sample_byte_format", "01")]
    count = int(facts["sample_count"])
    samples = np.frombuffer(content[length : length + 2 * count], order)
    if len(samples) < count:
        raise ValueError(f"it ends after {len(samples)} of {count} samples")
    return samples.astype(np.int16)


def around(samples: Samples, middle: int, num_frames: int) -> Samples:
    """The samples of `num_frames` frames around `middle`; what lies before or after the sound is silence."""
    length = (num_frames - 1) * HOP + WINDOW
    start = middle - length // 2
    padded = np.zeros(length, np.float32)
    inner = samples[max(start, 0) : max(start + length, 0)]
    at = max(-start, 0)
    padded[at : at + len(inner)] = inner
    return padded


def log_mel(samples: Samples, filters: NDArray[np.float64]) -> Images:
    """Power in each mel band and frame, in decibels: uint8 `[num_mels, num_frames]`, the loudest of the picture 255."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP] * np.hanning(WINDOW)
    power = np.abs(np.fft.rfft(frames, NUM_FFT, axis=1)) ** 2
    levels = 10.0 * np.log10(np.maximum(filters @ power.T, 1e-10))
    levels = np.clip(levels - levels.max() + RANGE_DB, 0.0, RANGE_DB)
    picture: Images = np.round(levels[::-1] * (255.0 / RANGE_DB)).astype(np.uint8)
    return picture


def mel_filters(num_mels: int) -> NDArray[np.float64]:
    """Triangles `[num_mels, NUM_FFT / 2 + 1]`, evenly spread on the mel scale (O'Shaughnessy, 1987) from 0 to 8 kHz."""
    top = 2595.0 * np.log10(1.0 + RATE_HZ / 2 / 700.0)
    edges = 700.0 * (10.0 ** (np.linspace(0.0, top, num_mels + 2) / 2595.0) - 1.0)
    bins = np.fft.rfftfreq(NUM_FFT, 1.0 / RATE_HZ)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    filters: NDArray[np.float64] = np.maximum(0.0, np.minimum(rising, falling))
    return filters
