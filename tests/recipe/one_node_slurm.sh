#!/usr/bin/env bash
# A Slurm cluster of one node, this machine, in a folder of its own.
#
# usage: one_node_slurm.sh start FOLDER [CPUS]   then: export SLURM_CONF=FOLDER/slurm.conf
#        one_node_slurm.sh stop FOLDER
#
# Needs Debian's packages slurmctld, slurmd, slurm-client and munge; no configuration
# outside of FOLDER, no database, no cgroups. Listens on free ports of 127.0.0.1.
set -e
set -u
set -o pipefail
export PATH=${PATH}:/usr/sbin:/sbin

fail() {
    echo "one_node_slurm.sh: error: $1" >&2
    exit 1
}

stop() {  # FOLDER
    local name pid
    for name in slurmd slurmctld munged; do
        pid=$(cat "$1/${name}.pid" 2> /dev/null) || continue
        kill "${pid}" 2> /dev/null || true
        for _ in $(seq 50); do
            kill -0 "${pid}" 2> /dev/null || continue 2
            sleep 0.1
        done
        kill -9 "${pid}" 2> /dev/null || true
    done
}

start() {  # FOLDER CPUS
    local folder=$1 cpus=$2 node user ports program
    for program in munged slurmctld slurmd sbatch squeue; do
        command -v "${program}" > /dev/null || fail "no ${program}: apt-get install \
slurmctld slurmd slurm-client munge"
    done
    mkdir -p "${folder}"/{state,spool}
    node=$(hostname -s)
    user=$(id -un)
    read -r -a ports < <(python3 -c "
import socket
sockets = [socket.socket() for _ in range(2)]
for one in sockets:
    one.bind(('127.0.0.1', 0))
print(*(one.getsockname()[1] for one in sockets))")

    (umask 077 && head -c 1024 /dev/urandom > "${folder}/munge.key")
    # --force: the folder may be one that others cannot look into.
    munged --force --key-file "${folder}/munge.key" --socket "${folder}/munge.socket" \
        --pid-file "${folder}/munged.pid" --log-file "${folder}/munged.log" \
        --seed-file "${folder}/munge.seed" 2> "${folder}/munged.err" \
        || fail "munged: $(tail -n 1 "${folder}/munged.err")"

    # config_overrides: as many jobs as CPUs are claimed, whatever the machine has.
    cat > "${folder}/slurm.conf" << EOF
ClusterName=one
SlurmctldHost=${node}(127.0.0.1)
SlurmctldPort=${ports[0]}
SlurmdPort=${ports[1]}
SlurmUser=${user}
SlurmdUser=${user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=${folder}/munge.socket
StateSaveLocation=${folder}/state
SlurmdSpoolDir=${folder}/spool
SlurmctldPidFile=${folder}/slurmctld.pid
SlurmdPidFile=${folder}/slurmd.pid
SlurmctldLogFile=${folder}/slurmctld.log
SlurmdLogFile=${folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=1
KillWait=2
MinJobAge=10
ReturnToService=2
NodeName=${node} NodeAddr=127.0.0.1 CPUs=${cpus} RealMemory=1000 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
EOF
    export SLURM_CONF=${folder}/slurm.conf
    slurmctld -f "${SLURM_CONF}" || fail "slurmctld: see ${folder}/slurmctld.log"
    slurmd -f "${SLURM_CONF}" || fail "slurmd: see ${folder}/slurmd.log"
    for _ in $(seq 300); do
        if [[ "$(sinfo --noheader --format=%t 2> /dev/null)" == idle* ]]; then
            return
        fi
        sleep 0.1
    done
    stop "${folder}"
    fail "the node does not come up: see ${folder}/slurmctld.log and slurmd.log"
}

case "${1:-}" in
    start) [ $# -ge 2 ] || fail "start needs a folder"
        mkdir -p "$2"
        start "$(cd "$2" && pwd)" "${3:-4}" ;;
    stop) [ $# -eq 2 ] || fail "stop needs a folder"
        stop "$2" ;;
    *) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
        exit 2 ;;
esac
