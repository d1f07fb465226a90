# Where the corpora are. Sourced by local/data.sh. A value set here or in the
# environment must exist; an empty one (or "downloads", as in ESPnet) lets the data
# preparation look by itself: in shared/data/CORPUS in or beside the checkout (and in
# every folder above), then in downloads/ here, then in the corpus's public home, if it
# has one.

# Folder with the recordings of the Free Spoken Digit Dataset (7_jackson_32.wav, ...)
# or with a folder "recordings" of them.
FSDD=${FSDD:-}

# ESPnet's egs2/mini_an4/asr1/downloads.tar.gz, or the folder that holds it.
MINI_AN4=${MINI_AN4:-}

# The folder "an4" of CMU AN4 (with etc and wav), or one that holds it.
AN4=${AN4:-}

# The folder "LibriSpeech" with train-clean-5, dev-clean-2 and test-clean, or one that
# holds it; for mini_librispeech.
MINI_LIBRISPEECH=${MINI_LIBRISPEECH:-}

# The folder "LibriSpeech" (with train-clean-100, dev-clean, ...), or one that holds it;
# for librispeech and librispeech_100.
LIBRISPEECH=${LIBRISPEECH:-}

# The folder that holds "data_aishell".
AISHELL=${AISHELL:-}

# lhotse:NAME looks for NAME in capitals: TIMIT=/path/to/timit, VCTK=...

# The corpus "synthetic" is spoken by espeak-ng and has no source.
