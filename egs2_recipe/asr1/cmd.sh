# Sourced by asr.sh: how jobs are started in an ESPnet tree. run.pl starts them on this
# machine; queue.pl or slurm.pl (with conf/queue.conf, conf/slurm.conf) on a cluster.
# Without an ESPnet tree every job runs on this machine and this file changes nothing.
export train_cmd="run.pl"
export cuda_cmd="run.pl"
export decode_cmd="run.pl"
