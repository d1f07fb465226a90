# Sourced by run.sh (and by asr.sh in an ESPnet tree): where the jobs run.
#   train_cmd   statistics (stage 10)
#   cuda_cmd    training (stage 11), and decoding with --gpu_inference true
#   decode_cmd  decoding (stage 12)
# Options go behind the name of the program: decode_cmd="slurm.pl --mem 4G".
# --max-jobs-run N limits how many jobs of one kind run at a time.
cmd_backend=${cmd_backend:-local}

case "${cmd_backend}" in
    local)  # this machine
        program=run.pl ;;
    slurm)  # with conf/slurm.conf, which may have to name your partitions (sinfo)
        program=slurm.pl ;;
    sge)  # in an ESPnet tree only, with conf/queue.conf
        program=queue.pl ;;
    pbs)  # in an ESPnet tree only, with conf/pbs.conf
        program=pbs.pl ;;
    *)
        echo "cmd.sh: error: cmd_backend=${cmd_backend} must be one of local, slurm," \
            "sge, pbs" >&2
        return 1 ;;
esac
export train_cmd=${program}
export cuda_cmd=${program}
export decode_cmd=${program}
