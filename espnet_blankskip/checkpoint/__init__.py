"""How a training config and its weights become a model, soon after the start.

``model_building`` builds it without ESPnet's ASR task, which takes ten seconds to
import; ``loading`` gives it every weight by name. `espnet_blankskip.zoo` finds,
inspects and converts the checkpoints that this loads.
"""

from espnet_blankskip.checkpoint.loading import load_asr_model, load_weights
from espnet_blankskip.checkpoint.state_file import read_state_dict

__all__ = ["load_asr_model", "load_weights", "read_state_dict"]
