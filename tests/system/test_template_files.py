"""Templates of a person's own: how a file is loaded, what is said of one that is wrong, and the page's example."""

import json

import numpy as np
import pytest

tvm = pytest.importorskip("tvm")

from tvm import te  # noqa: E402
from tvm.s_tir.meta_schedule.testing import te_workload  # noqa: E402

from tests.support.template_example import example  # noqa: E402
from tvm_farm.tracker.domain import Artifact, JobKind, JobSpec, TemplateFile  # noqa: E402
from tvm_farm.tracker.domain.engine import ENGINES  # noqa: E402
from tvm_farm.tracker.tuning import foreign_code  # noqa: E402
from tvm_farm.tracker.tuning.engines.autotvm import NoTemplate, TemplateError, load_templates  # noqa: E402
from tvm_farm.tracker.tuning.engines.autotvm.engine import TUNERS, AutoTvmEngine, Experience  # noqa: E402
from tvm_farm.tracker.tuning.engines.autotvm.programs import Programs  # noqa: E402
from tvm_farm.tracker.tuning.engines.autotvm.template import registered  # noqa: E402
from tvm_farm.tracker.tuning.engines.base import Learned, Setting  # noqa: E402
from tvm_farm.tracker.tuning.engines.choice import Choice, Chooser, trials_a_task  # noqa: E402
from tvm_farm.tracker.tuning.engines.own_templates import own_templates  # noqa: E402
from tvm_farm.tracker.tuning.engines.space import trace_json  # noqa: E402
from tvm_farm.tracker.tuning.errors import InputError  # noqa: E402

pytestmark = pytest.mark.system
CPU = tvm.target.Target({"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "x86-64-v2", "num-cores": 2})


def module(tensors):
    return tvm.IRModule({"main": te.create_prim_func(list(tensors)).with_attr("global_symbol", "main")})


MATMUL = module(te_workload.matmul(48, 64, 80))
SOFTMAX = module(te_workload.softmax_mn(12, 40))


def test_the_example_of_the_page_tunes_a_matmul():
    mine = load_templates(example("mine.py"), "mine.py")
    assert [(each.name, each.targets, each.file) for each in mine] == [("my_matmul", ("cpu",), "mine.py")]
    engine = AutoTvmEngine(MATMUL, CPU, "matmul", Experience(1, 1), seed=1, templates=mine)
    assert engine.space.template == "my_matmul"
    rng = np.random.default_rng(1)
    a, b = (rng.uniform(-1, 1, shape).astype("float32") for shape in ((48, 80), (80, 64)))
    for _ in range(3):
        candidates = engine.propose(4)
        assert len(candidates) == 4
        for candidate in candidates:
            result = tvm.runtime.tensor(np.zeros((48, 64), "float32"))
            scheduled = tvm.ir.load_json(candidate.module)
            tvm.tirx.build(scheduled, target=CPU)["main"](tvm.runtime.tensor(a), tvm.runtime.tensor(b), result)
            np.testing.assert_allclose(result.numpy(), a @ b, rtol=1e-4, atol=1e-5)
        engine.report([Learned(candidate, (1e-3 + n,)) for n, candidate in enumerate(candidates)])


def test_loading_a_file_leaves_the_farms_own_templates_as_they_are():
    before = registered()
    load_templates(example("mine.py"), "mine.py")
    load_templates(example("mine.py"), "mine.py")
    assert registered() == before


HEAD = "from tvm_farm.tracker.tuning.engines.autotvm import template\n"
DECORATED = HEAD + '@template("t", matches="m k, k n -> m n")\ndef t(schedule, cfg):\n'


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = 1\n", "mine.py registers no template: decorate a function with @template(...)"),
        ("def f(:\n", "mine.py:1: invalid syntax"),
        ("x = 1\n\nx.y\n", "mine.py:3: AttributeError: 'int' object has no attribute 'y'"),
        ("import no_such_module\n", "mine.py:1: ModuleNotFoundError: No module named 'no_such_module'"),
        (
            HEAD + '@template("t", matches="m k n")\ndef t(schedule, cfg): ...\n',
            "mine.py:2: 'm k n' is no pattern: it looks like \"m k, k n -> m n\"",
        ),
        (
            HEAD + '@template("a b", matches="m k, k n -> m n")\ndef t(schedule, cfg): ...\n',
            "mine.py:2: 'a b' is no name for a template: it must not be empty or hold spaces, ; or =",
        ),
        (
            HEAD + '@template("t", targets="cpu", matches="m k, k n -> m n")\ndef t(schedule, cfg): ...\n',
            'mine.py:2: template t: targets is a list of names, such as ("cpu",)',
        ),
        (
            HEAD + '@template("t", matches=bool, where=bool)\ndef t(schedule, cfg): ...\n',
            "mine.py:2: template t: where is for patterns; its function can ask for more itself",
        ),
        (
            HEAD + '@template("t", matches="k, k n -> n", specificity=2)\ndef t(schedule, cfg): ...\n',
            "mine.py:2: template t: specificity is for functions; a pattern's is how much it asks for",
        ),
        (
            DECORATED + "  pass\n" + DECORATED + "  pass\n",
            "mine.py:6: there are two templates t: give one another name",
        ),
    ],
    ids=["none", "no Python", "fails", "an import", "a pattern", "a name", "targets", "where", "specificity", "twice"],
)
def test_a_file_that_cannot_be_loaded(source, said):
    with pytest.raises(TemplateError) as refused:
        load_templates(source, "mine.py")
    assert str(refused.value) == said


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("  cfg.axes('m q')\n", "mine.py:4: template t has no axis q; there are m, n, k"),
        ("  cfg.split('a', 48, 2)\n  cfg.split('a', 48, 2)\n", "mine.py:5: template t names two knobs a"),
        ("  cfg.split('a', 48, 2, where=lambda f: False)\n", "mine.py:4: template t: knob a has no option"),
        ("  cfg.choice('a b', (1, 2))\n", "mine.py:4: template t: 'a b' is no name for a knob: letters, digits and _"),
        (
            "  cfg.split('a', 48, 2)\n  cfg.require('small', lambda b: b[0] < 4)\n",
            "mine.py: template t: 'small' asks for the knob b; there are a",
        ),
        (
            "  cfg.splat('a')\n",
            "mine.py:4: template t failed: AttributeError: 'Config' object has no attribute 'splat'",
        ),
        (
            "  cfg.split('a', 48, 2)\n  cfg.require('even', lambda: True)\n",
            "mine.py: template t: 'even' depends on no knob: give it as where= of the template",
        ),
        (
            "  cfg.split('a', 48, 2)\n  cfg.require('small', lambda a: a[2] < 4)\n",
            "mine.py:5: whether 'small' cannot be told of a=1x48: IndexError: tuple index out of range",
        ),
        (
            "  schedule.vectorize(cfg.axes('k')[0])\n  cfg.choice('a', (1, 2))\n",
            "mine.py:4: template t failed before its first knob: ",
        ),
    ],
    ids=[
        "an axis", "twice", "no option", "a name", "an unknown knob", "a mistake", "no knob", "a limit", "no schedule",
    ],
)  # fmt: skip
def test_a_template_with_a_mistake_in_it_is_told_by_its_line(body, said):
    mine = load_templates(DECORATED + body, "mine.py")
    with pytest.raises(TemplateError) as refused:
        Programs(MATMUL, CPU, "matmul", [*registered(), *mine])
    assert str(refused.value) == said if not said.endswith(": ") else str(refused.value).startswith(said)


def test_a_file_may_have_dataclasses():
    source = HEAD + "from dataclasses import dataclass\n\n@dataclass\nclass Nest:\n  vector: str\n\n"
    for future in ("", "from __future__ import annotations\n"):
        [mine] = load_templates(f"{future}{source}{DECORATED}  Nest('n')\n  cfg.choice('a', (1, 2))\n", "mine.py")
        assert Programs(MATMUL, CPU, "matmul", [mine]).space.size == 2


@pytest.mark.parametrize("within", ["f", "where", "holds"])
def test_a_template_that_never_ends_is_told(monkeypatch, within):
    monkeypatch.setattr(foreign_code, "LIMIT_S", 0.5)
    source = HEAD + "def endless(*_):\n  while True: pass\n\n"
    source += f'@template("t", matches="m k, k n -> m n"{", where=endless" * (within == "where")})\n'
    source += "def t(schedule, cfg):\n  cfg.split('a', 48, 2)\n"
    source += {"f": "  endless()\n", "where": "", "holds": "  cfg.require('small', lambda a: endless())\n"}[within]
    mine = load_templates(source, "mine.py")
    with pytest.raises(TemplateError, match=r"^mine\.py:3: .*TimeoutError: still running after 0\.5 s"):
        Chooser("autotvm", Setting(CPU, 1, tuple(mine))).choose(MATMUL, "matmul")


def test_where_the_first_run_stopped_is_told_of_a_knob_that_comes_later():
    body = "  a = cfg.choice('a', ('k', 'm'))\n  schedule.vectorize(cfg.axes(a)[0])\n  cfg.choice('b', (1, 2))\n"
    programs = Programs(MATMUL, CPU, "matmul", load_templates(DECORATED + body, "mine.py"))
    with pytest.raises(TemplateError, match=r"mine.py:6: .* knob b .* \(its first run stopped there: mine.py:5: "):
        programs.realize(programs.space.point(1))


def test_what_an_edited_template_no_longer_makes_is_none_of_its_points():
    body = "  a = cfg.split('a', 48, 2)\n  m, n, k = cfg.axes('m n k')\n  schedule.split(m, a)\n"
    was, same = (load_templates(DECORATED + body, "mine.py") for _ in range(2))
    is_now = load_templates(DECORATED + body + "  schedule.parallel(n)\n", "mine.py")
    old = Programs(MATMUL, CPU, "matmul", was)
    trace = trace_json(old.realize(old.space.point(3)).trace)
    assert Programs(MATMUL, CPU, "matmul", same).replayed(trace)[1] == old.space.point(3)
    program, point = Programs(MATMUL, CPU, "matmul", is_now).replayed(trace)
    assert (program.key, point) == (old.realize(old.space.point(3)).key, None)


def test_a_task_with_two_results_is_searched_by_ansor():
    a = te.placeholder((16, 32), name="a")
    both = te.compute((16, 32), lambda i, j: a[i, j] * 2.0, name="b"), te.compute((16, 32), lambda i, j: a[i, j] + 1.0)
    choice = Chooser("autotvm", Setting(CPU, 1)).choose(module([a, *both]), "split")
    assert choice.engine == "ansor"
    assert json.loads(choice.space)["note"].startswith("template elementwise failed: ")
    assert choice.new(1).propose(1)


def test_a_knob_that_only_some_points_ask_for_is_told():
    body = "  if cfg.choice('a', ('x', 'y')) == 'y':\n    cfg.choice('b', (1, 2))\n"
    programs = Programs(MATMUL, CPU, "matmul", load_templates(DECORATED + body, "mine.py"))
    with pytest.raises(TemplateError, match=r"mine.py:5: template t asks for a knob b that its first run did not"):
        programs.realize(programs.space.point(1))


def test_an_annotation_is_a_knob():
    body = "  m, n, k = cfg.axes('m n k')\n  cfg.apply_annotation(n, cfg.annotate('of_n'))\n"
    programs = Programs(MATMUL, CPU, "matmul", load_templates(DECORATED + body, "mine.py"))
    [knob] = programs.space.knobs
    assert (knob.kind, knob.options) == ("annotate", ("none", "unroll", "vectorize", "parallel"))
    traces = [str(programs.realize((option,)).trace) for option in range(4)]
    found = [[name for name in ("unroll", "vectorize", "parallel") if f"sch.{name}(" in trace] for trace in traces]
    assert found == [[], ["unroll"], ["vectorize"], ["parallel"]]


def test_a_template_without_a_valid_point_ends_its_task_with_the_reason():
    body = "  a = cfg.choice('a', tuple(range(99)))\n  m, n, k = cfg.axes('m n k')\n  schedule.vectorize(k)\n"
    mine = load_templates(DECORATED + body, "mine.py")
    engine = AutoTvmEngine(MATMUL, CPU, "matmul", Experience(1, 1), seed=1, templates=mine)
    said = r"^mine.py: template t yields no valid schedule of matmul: ScheduleError"
    with pytest.raises(TemplateError, match=said):
        engine.propose(8)
    with pytest.raises(TemplateError, match=said):
        Chooser("autotvm", Setting(CPU, 1, tuple(mine))).choose(MATMUL, "matmul")


def test_a_pattern_may_have_a_condition():
    source = HEAD + '@template("wide", matches="m k, k n -> m n", where=lambda anchor: anchor.axes[1].extent > LEAST)\n'
    for least, name in ((32, "wide"), (64, "matmul")):
        mine = load_templates(f"LEAST = {least}\n{source}def wide(schedule, cfg):\n  pass\n", "mine.py")
        assert Programs(MATMUL, CPU, "matmul", [*registered(), *mine]).template.name == name
    [broken] = load_templates(f"{source}def wide(schedule, cfg):\n  pass\n", "mine.py")
    with pytest.raises(TemplateError, match=r"^mine.py:2: the match of template wide failed: NameError: name 'LEAST'"):
        Programs(MATMUL, CPU, "matmul", [broken])


def test_the_farms_template_stays_where_a_persons_own_asks_for_less():
    source = HEAD + '@template("any", matches=lambda anchor: True, specificity=9)\ndef f(schedule, cfg):\n  pass\n'
    mine = load_templates(source, "mine.py")
    assert Programs(MATMUL, CPU, "matmul", [*registered(), *mine]).template.name == "matmul"
    assert Programs(SOFTMAX, CPU, "softmax", [*registered(), *mine]).template.name == "any"


def test_auto_chooses_by_the_budget_and_a_job_stays_with_its_choice():
    summed = module(te_workload.conv3d_ndhwc(1, 4, 8, 8, 16, 16, 1, 1, 0))

    def chosen(trials: float, before: str = "") -> Choice:
        return Chooser("auto", Setting(CPU, 1), trials).choose(summed, "conv3d", before)

    few, many = chosen(8), chosen(130)
    assert (few.engine, json.loads(few.space)["template"]) == ("autotvm", "reduction")
    why = "the template reduction finds less from 128 trials on"
    assert (many.engine, json.loads(many.space)) == (
        "ansor",
        {"engine": "ansor", "note": why, "passed_over": "reduction"},
    )
    assert chosen(136, few.space).engine == "autotvm"
    assert chosen(8, many.space).engine == "ansor"


def test_every_engine_of_a_job_is_there():
    assert set(ENGINES) == {"auto", "ansor", "autotvm", *(f"autotvm-{tuner}" for tuner in TUNERS)}
    for name in ENGINES:
        choice = Chooser(name, Setting(CPU, 1)).choose(MATMUL, "matmul")
        assert choice.engine == ("autotvm" if name == "auto" else name)
        assert len(choice.new(1).propose(2)) == 2
        assert bool(choice.space) == (name != "ansor")
    with pytest.raises(InputError, match=r"^there is no engine 'autotvm-magic': this farm has auto, ansor, autotvm, "):
        Chooser("autotvm-magic", Setting(CPU, 1))


def test_a_task_without_a_template_is_searched_by_ansor():
    mali = tvm.target.Target({"kind": "opencl", "device": "mali"})
    with pytest.raises(NoTemplate):
        Programs(SOFTMAX, mali, "softmax", registered())
    choice = Chooser("autotvm", Setting(mali, 1)).choose(SOFTMAX, "softmax")
    assert (choice.engine, choice.space) == ("ansor", '{"engine": "ansor", "note": "no template matches softmax"}')


GENERIC = module(te_workload.conv3d_ndhwc(1, 4, 8, 8, 16, 16, 1, 1, 0))
MANY, FEW = 500.0, 12.0


@pytest.mark.parametrize(
    ("workload", "trials", "engine", "said"),
    [
        (MATMUL, FEW, "autotvm", None),
        (MATMUL, float("inf"), "autotvm", None),
        (GENERIC, FEW, "autotvm", None),
        (GENERIC, MANY, "ansor", "the template reduction finds less from 128 trials on"),
        (SOFTMAX, FEW, "ansor", "the template rows finds less"),
    ],
    ids=["matmul, few", "matmul, no limit", "generic, few", "generic, many", "rows"],
)
def test_auto_takes_a_tasks_engine_by_template_and_trials(workload, trials, engine, said):
    choice = Chooser("auto", Setting(CPU, 1), trials).choose(workload, "task")
    assert choice.engine == engine
    if said is None:
        assert json.loads(choice.space)["template"]
    else:
        passed_over = said.split()[2]
        assert json.loads(choice.space) == {"engine": "ansor", "note": said, "passed_over": passed_over}
    assert len(choice.new(1).propose(2)) == 2


@pytest.mark.parametrize(("began", "goes_on"), [(FEW, MANY), (MANY, FEW)])
def test_auto_goes_on_with_the_engine_that_a_task_began_with(began, goes_on):
    first = Chooser("auto", Setting(CPU, 1), began).choose(GENERIC, "task")
    then = Chooser("auto", Setting(CPU, 1), goes_on).choose(GENERIC, "task", first.space)
    assert (then.engine, then.space) == (first.engine, first.space)
    assert then.engine != Chooser("auto", Setting(CPU, 1), goes_on).choose(GENERIC, "task").engine


def test_auto_searches_a_persons_own_template_whatever_it_is_called():
    source = HEAD + '@template("reduction", matches=lambda anchor: True, specificity=9)\ndef f(schedule, cfg):\n'
    mine = load_templates(source + '  cfg.choice("which", ("one", "other"))\n', "mine.py")
    choice = Chooser("auto", Setting(CPU, 1, tuple(mine)), MANY).choose(GENERIC, "task")
    assert choice.engine == "autotvm"
    assert json.loads(choice.space)["knobs"][0]["name"] == "which"


@pytest.mark.parametrize(
    ("max_trials", "budget_s", "tasks", "each"),
    [(0, 0.0, 4, float("inf")), (100, 0.0, 4, 25.0), (0, 60.0, 3, 100.0), (100, 60.0, 4, 25.0), (1000, 8.0, 4, 10.0)],
)
def test_a_budget_comes_to_so_many_trials_a_task(max_trials, budget_s, tasks, each):
    spec = JobSpec(JobKind.TUNE, "m", Artifact("d", 1), "pool", engine="auto", max_trials=max_trials, budget_s=budget_s)
    assert trials_a_task(spec, tasks) == each


def test_two_files_with_one_template_are_told(tmp_path):
    files = [TemplateFile(name, Artifact(name, 1)) for name in ("mine.py", "yours.py")]

    def fetch(artifact, path):
        path.write_text(DECORATED + "  pass\n")

    with pytest.raises(TemplateError, match=r"^mine\.py and yours\.py both have a template t: rename one\.$"):
        own_templates(files, tmp_path, fetch)
    assert [each.file for each in own_templates(files[:1], tmp_path, fetch)] == ["mine.py"]
