# shellcheck shell=bash
# Completion for varve. Sourced by bash-completion, or by hand; needs nothing but bash.

# Directories that hold a log come first to mind, but any directory may lead to one.
_varve_directories() {
    local entry
    compopt -o filenames 2>/dev/null
    while IFS= read -r entry; do
        COMPREPLY+=("$entry")
    done < <(compgen -d -- "$1")
}

_varve_files() {
    local entry
    compopt -o filenames 2>/dev/null
    while IFS= read -r entry; do
        COMPREPLY+=("$entry")
    done < <(compgen -f -- "$1")
}

_varve_words() {
    local entry
    while IFS= read -r entry; do
        COMPREPLY+=("$entry")
    done < <(compgen -W "$2" -- "$1")
}

# The values of an option; fails where it takes none that could be listed.
_varve_value() {
    case $1 in
    --durability) _varve_words "$2" "memory buffered interval group strict" ;;
    --store) _varve_words "$2" "memory lmdb" ;;
    --ack) _varve_words "$2" "lsn full" ;;
    --backend) _varve_words "$2" "auto direct buffered mmap" ;;
    --policy) _varve_words "$2" "default truncate halt skip" ;;
    --format | --preset) _varve_words "$2" "varve stra wlog aero dbkv lfwal" ;;
    --codec) _varve_words "$2" "identity lz4 zstd aes-256-gcm zstd+aes-256-gcm" ;;
    --key-file | --dictionary | --output) _varve_files "$2" ;;
    --key-env | --key-fd | --size) ;;
    --at | --batch | --before | --expire | --from | --interval | --keep-bytes | --keep-segments | --keep-time | --limit | --lines | --lsn | --max-age | --max-bytes | --max-log-bytes | --max-records | --owner | --record-max | --segment-bytes | --slot-bytes | \
        --sync-bytes | --sync-interval-ms | --threads | --time | --to | --type | -n | -t) ;;
    --metrics-file | --messages) _varve_files "$2" ;;
    --failover-dir) _varve_files "$2" ;;
    --message-level) _varve_words "$2" "trace debug info warning error off" ;;
    --message-format) _varve_words "$2" "text logfmt json" ;;
    *) return 1 ;;
    esac
}

_varve_options() {
    local emit="--type --limit --null --framed --raw --json" keys="--key-file --key-env --key-fd"
    case $1 in
    append)
        echo "--null --framed --type --time --durability --ack --threads --batch --quiet --no-create --policy" \
            "--segment-bytes --record-max --slot-bytes --backend --sync-bytes --sync-interval-ms" \
            "--keep-segments --keep-bytes --keep-time --max-log-bytes --failover-dir --metrics-file --codec --dictionary --format --preset" \
            "$keys" \
            "--messages --message-level --message-format"
        ;;
    cat) echo "--from --to --policy --format $emit $keys" ;;
    tail) echo "--lines --follow --policy --format $emit $keys" ;;
    dump) echo "--hex --operations --no-records --json --policy --format $keys" ;;
    verify) echo "--strict --quiet --json --policy --format $keys" ;;
    stat) echo "--json --watch --health --interval --policy --format" ;;
    formats) echo "--json" ;;
    trim) echo "--before --keep-segments --keep-bytes --keep-time --dry-run --json $keys" ;;
    repair) echo "--to --dry-run --json $keys" ;;
    lost) echo "--all --again $emit $keys" ;;
    pin) echo "--lsn --owner --max-records --max-bytes --max-age --json $keys" ;;
    kv) echo "--at --expire --limit --raw --json --store --preset $keys" ;;
    snapshot) echo "--json $keys" ;;
    keygen) echo "--rotate" ;;
    bench) echo "--time --json" ;;
    convert) echo "--to --format --lossy --policy --segment-bytes --codec --dictionary --quiet $keys" ;;
    rekey) echo "--codec --dictionary --segment-bytes --quiet $keys" ;;
    train) echo "--output --size $keys" ;;
    esac
}

_varve() {
    local subs="append cat tail dump verify stat trim pin lost repair kv snapshot formats keygen train rekey convert bench help"
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} sub=${COMP_WORDS[1]}
    COMPREPLY=()

    if ((COMP_CWORD == 1)); then
        _varve_words "$current" "$subs --help --version"
        return
    fi
    if [[ $sub == help ]]; then
        ((COMP_CWORD > 2)) || _varve_words "$current" "${subs% help}"
        return
    fi
    # Readline splits --option=value into three words.
    if [[ $current == = ]]; then
        _varve_value "$previous" "" && return
    elif [[ $previous == = ]] && ((COMP_CWORD > 2)); then
        _varve_value "${COMP_WORDS[COMP_CWORD - 2]}" "$current" && return
    elif [[ $previous != --ack ]]; then
        _varve_value "$previous" "$current" && return
    fi
    if [[ $current == -* ]]; then
        _varve_words "$current" "$(_varve_options "$sub") --help"
        return
    fi
    if [[ $sub == pin ]] && ((COMP_CWORD == 3)); then
        _varve_words "$current" "list set move drop"
        return
    fi
    if [[ $sub == lost ]] && ((COMP_CWORD == 3)); then
        _varve_words "$current" "list show export requeue drop"
        return
    fi
    if [[ $sub == kv ]] && ((COMP_CWORD == 3)); then
        _varve_words "$current" "get set del scan count stat digest history append range trim"
        return
    fi
    if [[ $sub == snapshot ]] && ((COMP_CWORD == 3)); then
        _varve_words "$current" "list verify create load"
        return
    fi
    case $sub in
    append | dump | keygen) _varve_files "$current" ;;
    *) _varve_directories "$current" ;;
    esac
}

complete -F _varve varve
