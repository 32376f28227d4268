from tvm_farm.protos.farm.v1 import measurement_pb2 as _measurement_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class JobKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    JOB_KIND_UNSPECIFIED: _ClassVar[JobKind]
    JOB_KIND_TUNE: _ClassVar[JobKind]
    JOB_KIND_COMPILE: _ClassVar[JobKind]
    JOB_KIND_ESTIMATE: _ClassVar[JobKind]
    JOB_KIND_CHECK: _ClassVar[JobKind]

class JobState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    JOB_STATE_UNSPECIFIED: _ClassVar[JobState]
    JOB_STATE_QUEUED: _ClassVar[JobState]
    JOB_STATE_RUNNING: _ClassVar[JobState]
    JOB_STATE_DONE: _ClassVar[JobState]
    JOB_STATE_FAILED: _ClassVar[JobState]
    JOB_STATE_CANCELLED: _ClassVar[JobState]
    JOB_STATE_REFUSED: _ClassVar[JobState]

class TimelineStep(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TIMELINE_STEP_UNSPECIFIED: _ClassVar[TimelineStep]
    TIMELINE_STEP_SEARCH: _ClassVar[TimelineStep]
    TIMELINE_STEP_AWAIT_BUILDER: _ClassVar[TimelineStep]
    TIMELINE_STEP_BUILD: _ClassVar[TimelineStep]
    TIMELINE_STEP_LINK: _ClassVar[TimelineStep]
    TIMELINE_STEP_HAND_OVER: _ClassVar[TimelineStep]
    TIMELINE_STEP_QUEUE: _ClassVar[TimelineStep]
    TIMELINE_STEP_TRANSFER: _ClassVar[TimelineStep]
    TIMELINE_STEP_AWAIT_BOARD: _ClassVar[TimelineStep]
    TIMELINE_STEP_DEVICE: _ClassVar[TimelineStep]
    TIMELINE_STEP_STORE: _ClassVar[TimelineStep]
JOB_KIND_UNSPECIFIED: JobKind
JOB_KIND_TUNE: JobKind
JOB_KIND_COMPILE: JobKind
JOB_KIND_ESTIMATE: JobKind
JOB_KIND_CHECK: JobKind
JOB_STATE_UNSPECIFIED: JobState
JOB_STATE_QUEUED: JobState
JOB_STATE_RUNNING: JobState
JOB_STATE_DONE: JobState
JOB_STATE_FAILED: JobState
JOB_STATE_CANCELLED: JobState
JOB_STATE_REFUSED: JobState
TIMELINE_STEP_UNSPECIFIED: TimelineStep
TIMELINE_STEP_SEARCH: TimelineStep
TIMELINE_STEP_AWAIT_BUILDER: TimelineStep
TIMELINE_STEP_BUILD: TimelineStep
TIMELINE_STEP_LINK: TimelineStep
TIMELINE_STEP_HAND_OVER: TimelineStep
TIMELINE_STEP_QUEUE: TimelineStep
TIMELINE_STEP_TRANSFER: TimelineStep
TIMELINE_STEP_AWAIT_BOARD: TimelineStep
TIMELINE_STEP_DEVICE: TimelineStep
TIMELINE_STEP_STORE: TimelineStep

class Dims(_message.Message):
    __slots__ = ("sizes",)
    SIZES_FIELD_NUMBER: _ClassVar[int]
    sizes: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, sizes: _Optional[_Iterable[int]] = ...) -> None: ...

class Shape(_message.Message):
    __slots__ = ("name", "dims", "others")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DIMS_FIELD_NUMBER: _ClassVar[int]
    OTHERS_FIELD_NUMBER: _ClassVar[int]
    name: str
    dims: _containers.RepeatedScalarFieldContainer[int]
    others: _containers.RepeatedCompositeFieldContainer[Dims]
    def __init__(self, name: _Optional[str] = ..., dims: _Optional[_Iterable[int]] = ..., others: _Optional[_Iterable[_Union[Dims, _Mapping]]] = ...) -> None: ...

class Parameter(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class DataFile(_message.Message):
    __slots__ = ("name", "content")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    name: str
    content: _measurement_pb2.Artifact
    def __init__(self, name: _Optional[str] = ..., content: _Optional[_Union[_measurement_pb2.Artifact, _Mapping]] = ...) -> None: ...

class TemplateFile(_message.Message):
    __slots__ = ("name", "content")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    name: str
    content: _measurement_pb2.Artifact
    def __init__(self, name: _Optional[str] = ..., content: _Optional[_Union[_measurement_pb2.Artifact, _Mapping]] = ...) -> None: ...

class JobSpec(_message.Message):
    __slots__ = ("kind", "model_name", "model", "pool", "engine", "max_trials", "budget_s", "shapes", "seed", "user", "plan", "priority", "device_class", "target", "fresh", "operator", "templates", "inputs", "fixed", "data", "parameters")
    KIND_FIELD_NUMBER: _ClassVar[int]
    MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    MAX_TRIALS_FIELD_NUMBER: _ClassVar[int]
    BUDGET_S_FIELD_NUMBER: _ClassVar[int]
    SHAPES_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    DEVICE_CLASS_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    FRESH_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    TEMPLATES_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    FIXED_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    kind: JobKind
    model_name: str
    model: _measurement_pb2.Artifact
    pool: str
    engine: str
    max_trials: int
    budget_s: float
    shapes: _containers.RepeatedCompositeFieldContainer[Shape]
    seed: int
    user: str
    plan: _measurement_pb2.TimingPlan
    priority: int
    device_class: str
    target: str
    fresh: bool
    operator: str
    templates: _containers.RepeatedCompositeFieldContainer[TemplateFile]
    inputs: _measurement_pb2.Artifact
    fixed: _containers.RepeatedCompositeFieldContainer[Parameter]
    data: _containers.RepeatedCompositeFieldContainer[DataFile]
    parameters: _containers.RepeatedCompositeFieldContainer[Parameter]
    def __init__(self, kind: _Optional[_Union[JobKind, str]] = ..., model_name: _Optional[str] = ..., model: _Optional[_Union[_measurement_pb2.Artifact, _Mapping]] = ..., pool: _Optional[str] = ..., engine: _Optional[str] = ..., max_trials: _Optional[int] = ..., budget_s: _Optional[float] = ..., shapes: _Optional[_Iterable[_Union[Shape, _Mapping]]] = ..., seed: _Optional[int] = ..., user: _Optional[str] = ..., plan: _Optional[_Union[_measurement_pb2.TimingPlan, _Mapping]] = ..., priority: _Optional[int] = ..., device_class: _Optional[str] = ..., target: _Optional[str] = ..., fresh: bool = ..., operator: _Optional[str] = ..., templates: _Optional[_Iterable[_Union[TemplateFile, _Mapping]]] = ..., inputs: _Optional[_Union[_measurement_pb2.Artifact, _Mapping]] = ..., fixed: _Optional[_Iterable[_Union[Parameter, _Mapping]]] = ..., data: _Optional[_Iterable[_Union[DataFile, _Mapping]]] = ..., parameters: _Optional[_Iterable[_Union[Parameter, _Mapping]]] = ...) -> None: ...

class Task(_message.Message):
    __slots__ = ("id", "name", "workload", "weight", "flops", "trials", "failed", "untuned_s", "best_s", "space")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    FLOPS_FIELD_NUMBER: _ClassVar[int]
    TRIALS_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    UNTUNED_S_FIELD_NUMBER: _ClassVar[int]
    BEST_S_FIELD_NUMBER: _ClassVar[int]
    SPACE_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    workload: str
    weight: int
    flops: float
    trials: int
    failed: int
    untuned_s: float
    best_s: float
    space: str
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., workload: _Optional[str] = ..., weight: _Optional[int] = ..., flops: _Optional[float] = ..., trials: _Optional[int] = ..., failed: _Optional[int] = ..., untuned_s: _Optional[float] = ..., best_s: _Optional[float] = ..., space: _Optional[str] = ...) -> None: ...

class TaskResult(_message.Message):
    __slots__ = ("name", "weight", "flops", "trials", "untuned_s", "tuned_s", "kept_untuned", "max_abs_diff", "wrong_result")
    NAME_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    FLOPS_FIELD_NUMBER: _ClassVar[int]
    TRIALS_FIELD_NUMBER: _ClassVar[int]
    UNTUNED_S_FIELD_NUMBER: _ClassVar[int]
    TUNED_S_FIELD_NUMBER: _ClassVar[int]
    KEPT_UNTUNED_FIELD_NUMBER: _ClassVar[int]
    MAX_ABS_DIFF_FIELD_NUMBER: _ClassVar[int]
    WRONG_RESULT_FIELD_NUMBER: _ClassVar[int]
    name: str
    weight: int
    flops: float
    trials: int
    untuned_s: float
    tuned_s: float
    kept_untuned: bool
    max_abs_diff: float
    wrong_result: bool
    def __init__(self, name: _Optional[str] = ..., weight: _Optional[int] = ..., flops: _Optional[float] = ..., trials: _Optional[int] = ..., untuned_s: _Optional[float] = ..., tuned_s: _Optional[float] = ..., kept_untuned: bool = ..., max_abs_diff: _Optional[float] = ..., wrong_result: bool = ...) -> None: ...

class PackageFile(_message.Message):
    __slots__ = ("name", "content")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    name: str
    content: _measurement_pb2.Artifact
    def __init__(self, name: _Optional[str] = ..., content: _Optional[_Union[_measurement_pb2.Artifact, _Mapping]] = ...) -> None: ...

class BucketResult(_message.Message):
    __slots__ = ("shapes", "serves", "untuned_s", "tuned_s", "max_abs_diff", "outputs_equal", "kept_untuned", "padded_from", "padded_max_abs_diff")
    SHAPES_FIELD_NUMBER: _ClassVar[int]
    SERVES_FIELD_NUMBER: _ClassVar[int]
    UNTUNED_S_FIELD_NUMBER: _ClassVar[int]
    TUNED_S_FIELD_NUMBER: _ClassVar[int]
    MAX_ABS_DIFF_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_EQUAL_FIELD_NUMBER: _ClassVar[int]
    KEPT_UNTUNED_FIELD_NUMBER: _ClassVar[int]
    PADDED_FROM_FIELD_NUMBER: _ClassVar[int]
    PADDED_MAX_ABS_DIFF_FIELD_NUMBER: _ClassVar[int]
    shapes: str
    serves: str
    untuned_s: float
    tuned_s: float
    max_abs_diff: float
    outputs_equal: bool
    kept_untuned: bool
    padded_from: str
    padded_max_abs_diff: float
    def __init__(self, shapes: _Optional[str] = ..., serves: _Optional[str] = ..., untuned_s: _Optional[float] = ..., tuned_s: _Optional[float] = ..., max_abs_diff: _Optional[float] = ..., outputs_equal: bool = ..., kept_untuned: bool = ..., padded_from: _Optional[str] = ..., padded_max_abs_diff: _Optional[float] = ...) -> None: ...

class JobResult(_message.Message):
    __slots__ = ("files", "tasks", "untuned_s", "tuned_s", "max_abs_diff", "rtol", "atol", "outputs_equal", "device_name", "note", "kept_untuned", "taught_by", "taught_tasks", "kernels_compared", "kernels_equal", "judge", "inputs_from", "buckets", "nothing_compared", "proven", "check")
    FILES_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    UNTUNED_S_FIELD_NUMBER: _ClassVar[int]
    TUNED_S_FIELD_NUMBER: _ClassVar[int]
    MAX_ABS_DIFF_FIELD_NUMBER: _ClassVar[int]
    RTOL_FIELD_NUMBER: _ClassVar[int]
    ATOL_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_EQUAL_FIELD_NUMBER: _ClassVar[int]
    DEVICE_NAME_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    KEPT_UNTUNED_FIELD_NUMBER: _ClassVar[int]
    TAUGHT_BY_FIELD_NUMBER: _ClassVar[int]
    TAUGHT_TASKS_FIELD_NUMBER: _ClassVar[int]
    KERNELS_COMPARED_FIELD_NUMBER: _ClassVar[int]
    KERNELS_EQUAL_FIELD_NUMBER: _ClassVar[int]
    JUDGE_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FROM_FIELD_NUMBER: _ClassVar[int]
    BUCKETS_FIELD_NUMBER: _ClassVar[int]
    NOTHING_COMPARED_FIELD_NUMBER: _ClassVar[int]
    PROVEN_FIELD_NUMBER: _ClassVar[int]
    CHECK_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedCompositeFieldContainer[PackageFile]
    tasks: _containers.RepeatedCompositeFieldContainer[TaskResult]
    untuned_s: float
    tuned_s: float
    max_abs_diff: float
    rtol: float
    atol: float
    outputs_equal: bool
    device_name: str
    note: str
    kept_untuned: bool
    taught_by: _containers.RepeatedScalarFieldContainer[str]
    taught_tasks: int
    kernels_compared: int
    kernels_equal: int
    judge: str
    inputs_from: str
    buckets: _containers.RepeatedCompositeFieldContainer[BucketResult]
    nothing_compared: bool
    proven: bool
    check: CheckReport
    def __init__(self, files: _Optional[_Iterable[_Union[PackageFile, _Mapping]]] = ..., tasks: _Optional[_Iterable[_Union[TaskResult, _Mapping]]] = ..., untuned_s: _Optional[float] = ..., tuned_s: _Optional[float] = ..., max_abs_diff: _Optional[float] = ..., rtol: _Optional[float] = ..., atol: _Optional[float] = ..., outputs_equal: bool = ..., device_name: _Optional[str] = ..., note: _Optional[str] = ..., kept_untuned: bool = ..., taught_by: _Optional[_Iterable[str]] = ..., taught_tasks: _Optional[int] = ..., kernels_compared: _Optional[int] = ..., kernels_equal: _Optional[int] = ..., judge: _Optional[str] = ..., inputs_from: _Optional[str] = ..., buckets: _Optional[_Iterable[_Union[BucketResult, _Mapping]]] = ..., nothing_compared: bool = ..., proven: bool = ..., check: _Optional[_Union[CheckReport, _Mapping]] = ...) -> None: ...

class TensorOutline(_message.Message):
    __slots__ = ("name", "dims", "dtype")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DIMS_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    name: str
    dims: _containers.RepeatedScalarFieldContainer[str]
    dtype: str
    def __init__(self, name: _Optional[str] = ..., dims: _Optional[_Iterable[str]] = ..., dtype: _Optional[str] = ...) -> None: ...

class OperatorUse(_message.Message):
    __slots__ = ("name", "nodes", "folded", "by_farm", "by_tvm", "expanded", "refused", "cut", "unknown")
    NAME_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    FOLDED_FIELD_NUMBER: _ClassVar[int]
    BY_FARM_FIELD_NUMBER: _ClassVar[int]
    BY_TVM_FIELD_NUMBER: _ClassVar[int]
    EXPANDED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    CUT_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    name: str
    nodes: int
    folded: int
    by_farm: int
    by_tvm: int
    expanded: int
    refused: int
    cut: int
    unknown: int
    def __init__(self, name: _Optional[str] = ..., nodes: _Optional[int] = ..., folded: _Optional[int] = ..., by_farm: _Optional[int] = ..., by_tvm: _Optional[int] = ..., expanded: _Optional[int] = ..., refused: _Optional[int] = ..., cut: _Optional[int] = ..., unknown: _Optional[int] = ...) -> None: ...

class Obstacle(_message.Message):
    __slots__ = ("node", "operator", "reason")
    NODE_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    node: str
    operator: str
    reason: str
    def __init__(self, node: _Optional[str] = ..., operator: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class TaskOutlook(_message.Message):
    __slots__ = ("name", "weight", "flops", "bytes_touched", "dtype")
    NAME_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    FLOPS_FIELD_NUMBER: _ClassVar[int]
    BYTES_TOUCHED_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    name: str
    weight: int
    flops: float
    bytes_touched: int
    dtype: str
    def __init__(self, name: _Optional[str] = ..., weight: _Optional[int] = ..., flops: _Optional[float] = ..., bytes_touched: _Optional[int] = ..., dtype: _Optional[str] = ...) -> None: ...

class Peaks(_message.Message):
    __slots__ = ("flops_per_s", "bytes_per_s", "device_name", "from_log")
    FLOPS_PER_S_FIELD_NUMBER: _ClassVar[int]
    BYTES_PER_S_FIELD_NUMBER: _ClassVar[int]
    DEVICE_NAME_FIELD_NUMBER: _ClassVar[int]
    FROM_LOG_FIELD_NUMBER: _ClassVar[int]
    flops_per_s: float
    bytes_per_s: float
    device_name: str
    from_log: bool
    def __init__(self, flops_per_s: _Optional[float] = ..., bytes_per_s: _Optional[float] = ..., device_name: _Optional[str] = ..., from_log: bool = ...) -> None: ...

class CheckReport(_message.Message):
    __slots__ = ("inputs", "outputs", "operators", "obstacles", "parameters", "parameter_bytes", "in_file", "flops", "activation_bytes", "activation_at", "tasks", "peaks", "notes", "judge")
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    OPERATORS_FIELD_NUMBER: _ClassVar[int]
    OBSTACLES_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    PARAMETER_BYTES_FIELD_NUMBER: _ClassVar[int]
    IN_FILE_FIELD_NUMBER: _ClassVar[int]
    FLOPS_FIELD_NUMBER: _ClassVar[int]
    ACTIVATION_BYTES_FIELD_NUMBER: _ClassVar[int]
    ACTIVATION_AT_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    PEAKS_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    JUDGE_FIELD_NUMBER: _ClassVar[int]
    inputs: _containers.RepeatedCompositeFieldContainer[TensorOutline]
    outputs: _containers.RepeatedCompositeFieldContainer[TensorOutline]
    operators: _containers.RepeatedCompositeFieldContainer[OperatorUse]
    obstacles: _containers.RepeatedCompositeFieldContainer[Obstacle]
    parameters: int
    parameter_bytes: int
    in_file: bool
    flops: float
    activation_bytes: int
    activation_at: str
    tasks: _containers.RepeatedCompositeFieldContainer[TaskOutlook]
    peaks: Peaks
    notes: _containers.RepeatedScalarFieldContainer[str]
    judge: str
    def __init__(self, inputs: _Optional[_Iterable[_Union[TensorOutline, _Mapping]]] = ..., outputs: _Optional[_Iterable[_Union[TensorOutline, _Mapping]]] = ..., operators: _Optional[_Iterable[_Union[OperatorUse, _Mapping]]] = ..., obstacles: _Optional[_Iterable[_Union[Obstacle, _Mapping]]] = ..., parameters: _Optional[int] = ..., parameter_bytes: _Optional[int] = ..., in_file: bool = ..., flops: _Optional[float] = ..., activation_bytes: _Optional[int] = ..., activation_at: _Optional[str] = ..., tasks: _Optional[_Iterable[_Union[TaskOutlook, _Mapping]]] = ..., peaks: _Optional[_Union[Peaks, _Mapping]] = ..., notes: _Optional[_Iterable[str]] = ..., judge: _Optional[str] = ...) -> None: ...

class Job(_message.Message):
    __slots__ = ("id", "spec", "state", "phase", "error", "created_unix_s", "started_unix_s", "finished_unix_s", "tuned_for_s", "tasks", "result", "target", "device_class", "trials", "worker_id", "devices", "utilisation", "input_error", "group", "recalled", "place", "worked_s", "working_since_unix_s")
    ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    CREATED_UNIX_S_FIELD_NUMBER: _ClassVar[int]
    STARTED_UNIX_S_FIELD_NUMBER: _ClassVar[int]
    FINISHED_UNIX_S_FIELD_NUMBER: _ClassVar[int]
    TUNED_FOR_S_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    DEVICE_CLASS_FIELD_NUMBER: _ClassVar[int]
    TRIALS_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    UTILISATION_FIELD_NUMBER: _ClassVar[int]
    INPUT_ERROR_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    RECALLED_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    WORKED_S_FIELD_NUMBER: _ClassVar[int]
    WORKING_SINCE_UNIX_S_FIELD_NUMBER: _ClassVar[int]
    id: str
    spec: JobSpec
    state: JobState
    phase: str
    error: str
    created_unix_s: float
    started_unix_s: float
    finished_unix_s: float
    tuned_for_s: float
    tasks: _containers.RepeatedCompositeFieldContainer[Task]
    result: JobResult
    target: str
    device_class: str
    trials: int
    worker_id: str
    devices: int
    utilisation: float
    input_error: bool
    group: str
    recalled: int
    place: int
    worked_s: float
    working_since_unix_s: float
    def __init__(self, id: _Optional[str] = ..., spec: _Optional[_Union[JobSpec, _Mapping]] = ..., state: _Optional[_Union[JobState, str]] = ..., phase: _Optional[str] = ..., error: _Optional[str] = ..., created_unix_s: _Optional[float] = ..., started_unix_s: _Optional[float] = ..., finished_unix_s: _Optional[float] = ..., tuned_for_s: _Optional[float] = ..., tasks: _Optional[_Iterable[_Union[Task, _Mapping]]] = ..., result: _Optional[_Union[JobResult, _Mapping]] = ..., target: _Optional[str] = ..., device_class: _Optional[str] = ..., trials: _Optional[int] = ..., worker_id: _Optional[str] = ..., devices: _Optional[int] = ..., utilisation: _Optional[float] = ..., input_error: bool = ..., group: _Optional[str] = ..., recalled: _Optional[int] = ..., place: _Optional[int] = ..., worked_s: _Optional[float] = ..., working_since_unix_s: _Optional[float] = ...) -> None: ...

class SearchStep(_message.Message):
    __slots__ = ("number", "task", "count", "learned", "proposed", "taught")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    LEARNED_FIELD_NUMBER: _ClassVar[int]
    PROPOSED_FIELD_NUMBER: _ClassVar[int]
    TAUGHT_FIELD_NUMBER: _ClassVar[int]
    number: int
    task: int
    count: int
    learned: _containers.RepeatedCompositeFieldContainer[Lesson]
    proposed: _containers.RepeatedScalarFieldContainer[str]
    taught: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, number: _Optional[int] = ..., task: _Optional[int] = ..., count: _Optional[int] = ..., learned: _Optional[_Iterable[_Union[Lesson, _Mapping]]] = ..., proposed: _Optional[_Iterable[str]] = ..., taught: _Optional[_Iterable[str]] = ...) -> None: ...

class Lesson(_message.Message):
    __slots__ = ("candidate", "build_s")
    CANDIDATE_FIELD_NUMBER: _ClassVar[int]
    BUILD_S_FIELD_NUMBER: _ClassVar[int]
    candidate: int
    build_s: float
    def __init__(self, candidate: _Optional[int] = ..., build_s: _Optional[float] = ...) -> None: ...

class StepTime(_message.Message):
    __slots__ = ("step", "trials", "total_s", "median_s", "p95_s", "wall_s")
    STEP_FIELD_NUMBER: _ClassVar[int]
    TRIALS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_S_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_S_FIELD_NUMBER: _ClassVar[int]
    P95_S_FIELD_NUMBER: _ClassVar[int]
    WALL_S_FIELD_NUMBER: _ClassVar[int]
    step: TimelineStep
    trials: int
    total_s: float
    median_s: float
    p95_s: float
    wall_s: float
    def __init__(self, step: _Optional[_Union[TimelineStep, str]] = ..., trials: _Optional[int] = ..., total_s: _Optional[float] = ..., median_s: _Optional[float] = ..., p95_s: _Optional[float] = ..., wall_s: _Optional[float] = ...) -> None: ...

class DeviceTime(_message.Message):
    __slots__ = ("name", "trials", "executing_s")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TRIALS_FIELD_NUMBER: _ClassVar[int]
    EXECUTING_S_FIELD_NUMBER: _ClassVar[int]
    name: str
    trials: int
    executing_s: float
    def __init__(self, name: _Optional[str] = ..., trials: _Optional[int] = ..., executing_s: _Optional[float] = ...) -> None: ...

class OutcomeCount(_message.Message):
    __slots__ = ("outcome", "trials")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    TRIALS_FIELD_NUMBER: _ClassVar[int]
    outcome: _measurement_pb2.Outcome
    trials: int
    def __init__(self, outcome: _Optional[_Union[_measurement_pb2.Outcome, str]] = ..., trials: _Optional[int] = ...) -> None: ...

class JobTimeline(_message.Message):
    __slots__ = ("wall_s", "tuning_s", "trials", "baselines", "cut_short", "recalled", "outcomes", "steps", "devices", "builders", "building_s")
    WALL_S_FIELD_NUMBER: _ClassVar[int]
    TUNING_S_FIELD_NUMBER: _ClassVar[int]
    TRIALS_FIELD_NUMBER: _ClassVar[int]
    BASELINES_FIELD_NUMBER: _ClassVar[int]
    CUT_SHORT_FIELD_NUMBER: _ClassVar[int]
    RECALLED_FIELD_NUMBER: _ClassVar[int]
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    BUILDERS_FIELD_NUMBER: _ClassVar[int]
    BUILDING_S_FIELD_NUMBER: _ClassVar[int]
    wall_s: float
    tuning_s: float
    trials: int
    baselines: int
    cut_short: int
    recalled: int
    outcomes: _containers.RepeatedCompositeFieldContainer[OutcomeCount]
    steps: _containers.RepeatedCompositeFieldContainer[StepTime]
    devices: _containers.RepeatedCompositeFieldContainer[DeviceTime]
    builders: int
    building_s: float
    def __init__(self, wall_s: _Optional[float] = ..., tuning_s: _Optional[float] = ..., trials: _Optional[int] = ..., baselines: _Optional[int] = ..., cut_short: _Optional[int] = ..., recalled: _Optional[int] = ..., outcomes: _Optional[_Iterable[_Union[OutcomeCount, _Mapping]]] = ..., steps: _Optional[_Iterable[_Union[StepTime, _Mapping]]] = ..., devices: _Optional[_Iterable[_Union[DeviceTime, _Mapping]]] = ..., builders: _Optional[int] = ..., building_s: _Optional[float] = ...) -> None: ...
