"""ESPnet3's stages for a blankskip model; see README.md."""

from espnet_blankskip.espnet3 import ASRSystem

if __name__ == "__main__":  # spawned workers import this file again
    from espnet3.systems.launch import launch

    launch(ASRSystem, conf_package="egs3.TEMPLATE.esp2_asr")
