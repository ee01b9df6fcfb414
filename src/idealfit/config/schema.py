"""The schema of one training run and of a study: every key, its type and its default.

Values live in `conf/*.yaml`; each YAML file names its schema in its defaults list, so a misspelt key, a wrong type or
a value out of bounds fails when the config is composed, before anything trains. Groups that a user may extend with
classes of their own (`data`, `model`, `optimizer`, `scheduler`, `loss`, `augment`) are typed `Any` here; a file
without a schema is checked against the signature of its `_target_` by `config.gate`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import II, MISSING

from idealfit.config.bounds import bounded
from idealfit.tasks import MULTI_CLASS, TASKS

ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps", "tpu")
PRECISIONS = ("auto", "32-true", "16-mixed", "bf16-mixed", "bf16-true", "16-true", "64-true")
COMPILE_MODES = ("none", "default", "reduce-overhead", "max-autotune")  # those of torch.compile
LR_SCALINGS = ("none", "linear", "sqrt")
SAMPLERS = ("tpe", "random", "qmc", "grid", "gp", "cmaes")
PRUNERS = ("hyperband", "asha", "median", "wilcoxon", "none")
TARGETS = ("class_value", "brightness")
PROTOCOLS = ("holdout", "kfold", "seeds")
DIRECTIONS = ("maximize", "minimize")
EPOCH_CHOICES = ("best", "last", "mean_of_last_k")
MAX_SEED = 2**32 - 1  # what NumPy and Lightning take
MAX_BATCH_SIZE = 2**31 - 1


@dataclass
class EarlyStoppingConfig:
    """Stop a trial when `monitor` has not improved by `min_delta` for `patience` epochs; patience 0 switches it off."""

    patience: int = bounded(0, at_least=0)
    monitor: str = "val/loss"
    min_delta: float = bounded(0.0, at_least=0)


@dataclass
class AttackConfig:
    """Validation images changed against the network, for `val/robust_accuracy`; epsilon 0 switches it off."""

    epsilon: float = bounded(0.0, at_least=0, at_most=1)  # largest change of a pixel; 1: from black to white
    steps: int = bounded(1, at_least=1)  # 1: fast gradient sign; more: projected gradient descent


@dataclass
class TrainerConfig:
    """How one trial is trained."""

    max_epochs: int = bounded(30, at_least=1)
    min_epochs: int = bounded(1, at_least=1)
    accelerator: str = bounded("auto", one_of=ACCELERATORS)
    devices: int = bounded(1, at_least=1)  # that train one trial together, each in a process of its own
    sync_batchnorm: bool = True  # on CUDA: batch norm sees the whole batch, not one device's share
    rank_timeout_s: float = bounded(300.0, above=0)  # how long devices wait for each other before the trial fails
    lr_scaling: str = bounded("none", one_of=LR_SCALINGS)  # optimizer.lr is meant for lr_batch_size images a batch
    lr_batch_size: int = bounded(256, at_least=1, at_most=MAX_BATCH_SIZE)
    precision: str = bounded("auto", one_of=PRECISIONS)  # auto: bf16-mixed where the device has it, else 32-true
    compile: str = bounded("none", one_of=COMPILE_MODES)  # the network of the training steps, by torch.compile
    channels_last: bool = True  # how idealfit's networks keep their kernels; false: channels first
    deterministic: bool = True
    batches_per_step: int = bounded(16, at_least=1)  # optimizer steps in one training_step: same bits, less overhead
    gradient_clip_val: float | None = bounded(None, above=0)
    l1: float = bounded(0.0, at_least=0)  # times the sum of the absolute weights, added to the loss
    max_norm: float | None = bounded(None, above=0)  # largest norm of the weights that lead into one unit
    accumulate_grad_batches: int = bounded(1, at_least=1)
    train_eval: bool = True  # score a fixed, un-augmented train subset each epoch: the gap needs it
    eval_batch_size: int = bounded(1024, at_least=1, at_most=MAX_BATCH_SIZE)
    look: bool = False  # inside the best network at the end: saliency, feature maps, neighbours
    checkpoint_every_s: float = bounded(10.0, at_least=0)
    early_stopping: EarlyStoppingConfig = field(default_factory=EarlyStoppingConfig)
    attack: AttackConfig = field(default_factory=AttackConfig)


@dataclass
class ProtocolConfig:
    """How a trial is scored: `holdout`, by one training run."""

    name: str = bounded("holdout", one_of=PROTOCOLS)


@dataclass
class KFoldConfig(ProtocolConfig):
    """By one training run for each fold of a stratified cross-validation; its score is their mean."""

    folds: int = bounded(5, at_least=2)


@dataclass
class SeedsConfig(ProtocolConfig):
    """By one training run for each of so many seeds, on one split; its score is their mean."""

    seeds: int = bounded(5, at_least=2)


@dataclass
class TaskConfig:
    """What is learned of each picture: `multi_class`, which class it is."""

    name: str = bounded(MULTI_CLASS, one_of=tuple(TASKS))
    metrics: list[str] = field(default_factory=list)  # measured each epoch beside the task's own: [f1, roc_auc]


@dataclass
class BinaryConfig(TaskConfig):
    """Whether it belongs to the `positive` classes; None: to the second of two."""

    positive: list[str] | None = None


@dataclass
class MultiLabelConfig(TaskConfig):
    """Which labels it has; {}: the data's own."""

    labels: dict[str, Any] = field(default_factory=dict)  # label: the classes that have it


@dataclass
class RegressionConfig(TaskConfig):
    """A number: that of its class, or its brightness."""

    target: str = bounded("class_value", one_of=TARGETS)
    values: dict[str, float] = field(default_factory=dict)  # class: its number; {}: the class names are numbers


@dataclass
class EngineConfig:
    """What executes trials. `slots` 0 means: one for each device, else one for each core, at most 8."""

    _target_: str = MISSING
    slots: int = bounded(0, at_least=0)
    timeout_s: float | None = bounded(None, above=0)


@dataclass
class TrackingConfig:
    """Where runs are mirrored to. An empty `uri` switches tracking off; records on disk are kept all the same."""

    uri: str = "sqlite:///mlflow.db"
    experiment: str | None = None  # None: the study's name, one experiment a study
    required: bool = True  # false: an unreachable store is a warning, and `idealfit sync` sends the rest later
    interval_s: float = bounded(10.0, above=0)
    pictures: bool = True
    model: bool = True  # a study's winner becomes an MLflow model of its parent run


@dataclass
class ObjectiveConfig:
    """What a study optimises: docs/objectives.md. `direction` None: losses, gaps and costs down, the rest up."""

    metric: str | None = None  # None: what the task is about, e.g. val/accuracy
    direction: str | None = bounded(None, one_of=DIRECTIONS)
    epoch: str = bounded("best", one_of=EPOCH_CHOICES)
    k: int = bounded(3, at_least=1)
    penalty: dict[str, float] = field(default_factory=dict)  # weight by metric: {gap: 0.5}
    constraints: list[str] = field(default_factory=list)  # ["params <= 1e6", "gap <= 0.02"]
    metrics: list[str] = field(default_factory=list)  # several instead of `metric`: [val/accuracy, minimize gap]


@dataclass
class BudgetConfig:
    """The study's total over all resumes; whichever ends first."""

    trials: int = bounded(20, at_least=0)
    epochs: int | None = bounded(None, at_least=1)
    hours: float | None = bounded(None, above=0)
    gpu_seconds: float | None = bounded(None, above=0)  # in training, times devices; on a CPU, of its processes
    target: float | None = None  # a trial that reaches it ends the study
    patience: int | None = bounded(None, at_least=1)  # so many trials without improvement beyond the noise end it


@dataclass
class WarmStartConfig:
    """Try the best points of an earlier study first."""

    study: str | None = None
    top: int = bounded(3, at_least=1)


@dataclass
class PromoteConfig:
    """What follows a sweep: its best on fresh seeds, then one look at the test set. `top` 0: nothing."""

    top: int = bounded(0, at_least=0)
    seeds: int = bounded(5, at_least=2)
    refit: bool = False  # train the chosen one on training and validation images before the test
    test: bool = True


@dataclass
class StudyConfig:
    """One sweep: a question, a search space, an objective, a budget."""

    name: str = MISSING  # its file's name when not given
    question: str = ""
    space: dict[str, Any] = field(default_factory=dict)
    forbid: list[Any] = field(default_factory=list)  # combinations that no trial may have
    derive: dict[str, Any] = field(default_factory=dict)  # arithmetic over other keys of the trial
    enqueue: list[Any] = field(default_factory=list)  # points to try first
    warm_start: WarmStartConfig = field(default_factory=WarmStartConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    budget: BudgetConfig = field(default_factory=BudgetConfig)
    sampler: str = bounded("tpe", one_of=SAMPLERS)
    sampler_options: dict[str, Any] = field(default_factory=dict)
    pruner: str = bounded("hyperband", one_of=PRUNERS)
    pruner_options: dict[str, Any] = field(default_factory=dict)
    seed: int = II("seed")
    deterministic: bool = False  # one trial at a time, asked and told in order: the same trials each time
    promote: PromoteConfig = field(default_factory=PromoteConfig)
    storage: str | None = None  # None: RUNS_DIR/NAME/study.journal
    max_restarts: int = bounded(2, at_least=0)  # of one trial, after it was killed, preempted or ran out of memory
    max_failures: int = bounded(3, at_least=1)  # this many failures in a row, of any cause but `nan`, stop the study


@dataclass
class Config:
    """The root of everything that Hydra composes."""

    seed: int = bounded(0, at_least=0, at_most=MAX_SEED)
    data: Any = MISSING
    model: Any = MISSING
    optimizer: Any = MISSING
    scheduler: Any = None
    loss: Any = MISSING
    augment: Any = None
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    protocol: ProtocolConfig = field(default_factory=ProtocolConfig)
    task: TaskConfig = field(default_factory=TaskConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    study: StudyConfig | None = None
    runs_dir: str = "runs"
    trusted_packages: list[str] = field(default_factory=list)
