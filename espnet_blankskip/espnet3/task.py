"""The ASR task that ESPnet3's training configs name."""

from espnet_blankskip.registry import register
from espnet_blankskip.upstream import espnet3_module


class ASRTask(espnet3_module("systems.esp2_asr.task").ASRTask):
    """ESPnet3's ASR task that knows this plugin.

    ESPnet3 finds a task by its path. Whichever process resolves
    ``task: espnet_blankskip.espnet3.ASRTask`` (a spawned trainer, a worker of Dask or
    of Slurm, the packed model's reader) has thereby imported the plugin, so
    ``encoder: blankskip_conformer`` and ``model: blankskip`` need no further line.
    """


register()  # the dictionaries exist now, whoever imported the task before us
