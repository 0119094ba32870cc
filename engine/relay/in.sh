# Joins a login with one of the sockets of a move; whoever has the key gets to nothing else.
k=${0%/*}
case $SSH_ORIGINAL_COMMAND in
m | d | c[0-9] | c[0-9][0-9] | c[0-9][0-9][0-9]) ;;
t) exit 0 ;;
*)
	echo "only the data of one move go here" >&2
	exit 1
	;;
esac
IFS= read -r s <"$k/$SSH_ORIGINAL_COMMAND" && IFS= read -r mark <"$k/mark" || exit 1
set -- "$s" "" "$mark"
