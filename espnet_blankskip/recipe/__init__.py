"""What ``run.sh`` runs where there is no ESPnet tree: the stages of asr.sh."""
