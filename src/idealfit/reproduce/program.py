"""A network as a few lines of plain PyTorch: what it computes, without the classes that it was built from.

`torch.export` traces the network to a graph of ATen operators, and the graph is printed as Python. A reader sees what
runs, nothing is unpickled (loading a saved `ExportedProgram` executes what its author put there), ATen operators keep
their meaning from release to release, and neither idealfit nor the user's own package is needed to run it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import Dim, ExportedProgram
from torch.export.graph_signature import InputKind

from idealfit.spec import ConfigError

CONSTANT_PREFIX = "constant."
"""Of tensors that the network makes by itself and that are no part of its state dict."""

_RESERVED = {"torch", "operator", "weights", "images"}


@dataclass(frozen=True)
class Program:
    """Source lines of `forward(weights, images)`, and what `weights` has to hold besides the state dict."""

    lines: list[str]
    constants: dict[str, Tensor]


def trace(network: nn.Module, image_shape: Sequence[int]) -> Program:
    """What `network` computes, in eval mode, for float32 images `[B, *image_shape]` of any number B.

    Raises:
        ConfigError: It cannot be traced: its flow depends on pixel values, or it gives no single tensor.
    """
    network = network.eval().cpu()
    example = torch.rand(3, *image_shape, generator=torch.Generator().manual_seed(0))
    name = type(network).__name__
    try:
        with torch.no_grad():
            program = torch.export.export(network, (example,), dynamic_shapes=({0: Dim("batch", min=1)},), strict=False)
            expected, given = network(example), program.module()(example)
    except Exception as error:  # tracing runs the user's own code, and has many errors of its own
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConfigError(
            f"The network {name} cannot be exported: {first} Its forward must be plain tensor operations, "
            "and its flow must not depend on the values of pixels."
        ) from error
    if not isinstance(expected, Tensor):
        raise ConfigError(f"The network {name} cannot be exported: it gives a {type(expected).__name__}, not logits.")
    if not torch.allclose(expected, given, rtol=1e-4, atol=1e-5, equal_nan=True):
        raise ConfigError(f"The network {name} cannot be exported: it does not compute the same twice in eval mode.")
    return _printed(program, name)


def _printed(program: ExportedProgram, name: str) -> Program:
    graph = program.graph_module.graph
    graph.eliminate_dead_code()
    values: dict[fx.Node, str] = {}
    inputs, constants = _inputs(program)
    lines: list[str] = []
    for node in graph.nodes:
        if node.op == "placeholder":
            values[node] = inputs[node.name]
        elif node.op == "call_function" and _computes(node):
            values[node] = f"{node.name}_" if node.name in _RESERVED else node.name
            lines.append(f"{values[node]} = {_function(node, name)}({_arguments(node, values, name)})")
        elif node.op == "output":
            lines.append(f"return {_literal(node.args[0][0], values, name)}")
        elif node.op != "call_function":
            raise _unprintable(name, f"{node.op} {node.target}")
    return Program(lines, constants)


def _inputs(program: ExportedProgram) -> tuple[dict[str, str], dict[str, Tensor]]:
    """What each placeholder is in `forward(weights, images)`, and the tensors that are not in the state dict."""
    inputs: dict[str, str] = {}
    constants: dict[str, Tensor] = {}
    for spec in program.graph_signature.input_specs:
        key = str(spec.target)
        if spec.kind is InputKind.USER_INPUT:
            inputs[spec.arg.name] = "images"
            continue
        if key not in program.state_dict:
            constant = program.constants[key]
            key = f"{CONSTANT_PREFIX}{key}"
            constants[key] = constant.detach()
        inputs[spec.arg.name] = f"weights[{key!r}]"
    return inputs, constants


def _computes(node: fx.Node) -> bool:
    """Whether the node gives a value; assertions about shapes don't."""
    return not str(node.target).startswith(("aten._assert", "aten.sym_constrain", "aten._guards"))


def _function(node: fx.Node, name: str) -> str:
    target = node.target
    if isinstance(target, torch._ops.OpOverload) and target.namespace == "aten":
        return f"torch.ops.{target}"
    module, function = getattr(target, "__module__", ""), getattr(target, "__name__", "")
    if module in ("_operator", "operator"):  # arithmetic on sizes
        return f"operator.{function}"
    if module == "torch" and function.startswith("sym_"):
        return f"torch.{function}"
    raise _unprintable(name, str(target))


def _arguments(node: fx.Node, values: dict[fx.Node, str], name: str) -> str:
    given = [_literal(value, values, name) for value in node.args]
    return ", ".join(given + [f"{key}={_literal(value, values, name)}" for key, value in node.kwargs.items()])


def _literal(value: Any, values: dict[fx.Node, str], name: str) -> str:
    if isinstance(value, fx.Node):
        return values[value]
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_literal(item, values, name) for item in value)}]"
    if isinstance(value, torch.device):
        return "images.device"
    if isinstance(value, torch.dtype | torch.layout | torch.memory_format):
        return str(value)
    raise _unprintable(name, repr(value))


def _unprintable(name: str, what: str) -> ConfigError:
    return ConfigError(
        f"The network {name} cannot be exported: it uses {what}, which is no plain tensor operation of PyTorch."
    )
