"""The generated protobuf module is what the pinned compiler makes of the .proto file."""

import subprocess
import sys
from pathlib import Path

from hanami_jupyter.protocol import hanami_messages_pb2 as messages

PROTOCOL = Path(messages.__file__).parent


def test_generated_module_is_current(tmp_path):
    subprocess.run(
        [
            *(sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTOCOL}"),
            *(f"--python_out={tmp_path}", f"--pyi_out={tmp_path}", "hanami_messages.proto"),
        ],
        check=True,
    )
    for name in ("hanami_messages_pb2.py", "hanami_messages_pb2.pyi"):
        assert (tmp_path / name).read_text() == (PROTOCOL / name).read_text(), f"{name} is stale"


def test_bytes_on_the_wire():
    message = messages.ClusterIO_Message(
        bufferName="a", isLast=True, processType=messages.TRAIN, numberOfValues=1, values=[1.0]
    )
    assert message.SerializeToString().hex(" ") == "0a 01 61 10 01 18 01 28 01 32 04 00 00 80 3f"
