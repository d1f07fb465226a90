"""Have sherpa-onnx's websocket server recognize files, all at the same time.

    pip install sherpa-onnx-bin websockets soundfile
    blankskip export exp/asr_x --out model --for sherpa-onnx
    sherpa-onnx-offline-websocket-server --port=6006 --tokens=model/tokens.txt \\
        --omnilingual-asr-model=model/model.onnx &
    python examples/websocket_client.py ws://localhost:6006 *.flac
"""

import asyncio
import json
import sys

import numpy as np
import soundfile
import websockets

CHUNK = 10240  # bytes of one message


async def recognize(url: str, path: str) -> str:
    """Transcript of a file with one channel, at any rate."""
    samples, rate = soundfile.read(path, dtype="float32")
    # rate and size in bytes, then the samples, in messages of any length
    data = np.array([rate, samples.nbytes], "<i4").tobytes() + samples.tobytes()
    async with websockets.connect(url) as socket:
        for start in range(0, len(data), CHUNK):
            await socket.send(data[start : start + CHUNK])
        result = json.loads(await socket.recv())
        await socket.send("Done")
    return result["text"]


async def main(url: str, *paths: str) -> None:
    """Print path and transcript of every file."""
    texts = await asyncio.gather(*(recognize(url, path) for path in paths))
    for path, text in zip(paths, texts):
        print(f"{path}\t{text}")


asyncio.run(main(*sys.argv[1:]))
