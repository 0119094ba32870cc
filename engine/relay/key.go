package relay

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"path"
	"strings"

	"horcrux/engine/model"
)

// inScript is what the key of a move may run on the target.
var inScript = inHead + joinScript

//go:embed in.sh
var inHead string

// keyDir is root's folder beside that of the sockets.
func keyDir(job model.JobID) string { return model.RelayDir(job) + ".key" }

// alias is the name of the target in the move's own known_hosts, and the end of
// its line in authorized_keys.
func alias(job model.JobID) string { return "horcrux-" + string(job) }

// marked is an argument of every process of a tunnel, by which it is found.
func marked(job model.JobID) string { return "HostKeyAlias=" + alias(job) }

// lookScript prints root's home and the files in which sshd looks for keys.
const lookScript = `h=$(getent passwd root 2>/dev/null | cut -d: -f6)
echo "home ${h:-/root}"
a=${SSH_CONNECTION%% *}
d=$(command -v sshd || echo /usr/sbin/sshd)
"$d" -T -C "user=root,host=$a,addr=$a" 2>/dev/null | grep -i '^authorizedkeysfile '
exit 0`

var errNoFile = errors.New("sshd there looks for keys in no file")

// keysFile finds the first file in which sshd looks for root's keys.
func keysFile(text string) (string, error) {
	home, name := "/root", ".ssh/authorized_keys"
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch strings.ToLower(key) {
		case "home":
			home = value
		case "authorizedkeysfile":
			name, _, _ = strings.Cut(strings.TrimSpace(value), " ")
		}
	}
	if name == "none" {
		return "", fmt.Errorf("%w (AuthorizedKeysFile none)", errNoFile)
	}
	name = strings.NewReplacer("%%", "%", "%h", home, "%u", "root", "%U", "0").Replace(name)
	if !path.IsAbs(name) {
		name = path.Join(home, name)
	}
	if !path.IsAbs(name) || path.Clean(name) != name || name == "/" || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", fmt.Errorf("%w that we would change: %q is not a clean path", errNoFile, name)
	}
	return name, nil
}

func lookForKeys(ctx context.Context, n Execer) (string, error) {
	res, err := n.Exec(ctx, []string{"sh", "-c", lookScript, "horcrux"}, nil)
	if err == nil {
		err = res.Failed("sh")
	}
	if err != nil {
		return "", err
	}
	return keysFile(string(res.Stdout))
}

// editScript writes a file of keys anew without the lines of a job, and with
// one more if standard input has one. It never leaves half of it: a login that
// comes meanwhile finds the old or the new file. Lines of other moves that come
// and go at the same time wait for each other at the folder.
//
// The day that the line ends is counted in the host's own time, as sshd reads it.
const editScript = `add=$(cat)
f=$(readlink -f -- "$1") || f=$1
d=$(dirname -- "$f")
umask 077
if [ -z "$add" ]; then
[ -f "$f" ] && [ -r "$f" ] || exit 0
else
[ -d "$d" ] || mkdir -p -- "$d" || exit 1
fi
exec 9<"$d" && flock -w 20 9 || exit 1
n=$f.$2
rm -f -- "$n"
[ -n "$add" ] || grep -q " $2\$" "$f" || exit 0
if [ -e "$f" ]; then cp -p --preserve=all -- "$f" "$n" 2>/dev/null || cp -p -- "$f" "$n" || exit 1
else : >"$3/new" && : >"$n" || exit 1
fi
{ if [ -e "$f" ]; then sed "/ $2\$/d" "$f"; fi
if [ -n "$add" ]; then
if [ -s "$f" ] && [ -n "$(tail -c 1 "$f")" ]; then echo; fi
at=$(date -d "@$(($(date +%s)+259200))" +%Y%m%d%H%M) || exit 1
echo "restrict,expiry-time=\"$at\",$add"
fi
} >"$n" || { rm -f -- "$n"; exit 1; }
if [ -z "$add" ] && [ ! -s "$n" ] && [ -e "$3/new" ]; then rm -f -- "$n" "$f"; exit; fi
sync -- "$n" && mv -f -- "$n" "$f"`

// keyLine is a job's line but for the words that its host adds in front.
func keyLine(job model.JobID, public string) string {
	return fmt.Sprintf("command=\"exec sh %s/in\" %s %s\n", keyDir(job), public, alias(job))
}

// letIn lets the job's key in on the target.
func letIn(ctx context.Context, n Node, job model.JobID, public string) error {
	file, err := lookForKeys(ctx, n)
	if err != nil {
		return fmt.Errorf("cannot let the data in on %s: %w", n.Name(), err)
	}
	return do(ctx, n, strings.NewReader(keyLine(job, public)), "add the key of the move to "+file, editScript, file, alias(job), keyDir(job))
}

// endScript ends what has the alias of a job among its arguments, and waits until
// it is gone. The name comes without its key, so that this shell does not find
// itself.
const endScript = `i=0
while [ $i -lt 50 ]; do
all=
for p in $(grep -lsz -e "^HostKeyAlias=$1\$" /proc/[0-9]*/cmdline); do
p=${p#/proc/}
all="$all ${p%/cmdline}"
done
[ -n "$all" ] || break
kill -9 $all 2>/dev/null
sleep 0.1
i=$((i+1))
done
[ -z "$all" ] || { echo "processes $all do not end" >&2; exit 1; }
rm -rf -- "$2" "$3"`

// Remove takes away what a way through sockets may have left on a node: the
// line of its key, the processes, and the folders. It may be called again, and
// by another process than the one that made them.
func Remove(ctx context.Context, n Execer, job model.JobID) error {
	if !clean.MatchString(string(job)) {
		return fmt.Errorf("cannot remove the sockets of job %q: not a name of a job", job)
	}
	scripts := [][]string{{endScript, alias(job), model.RelayDir(job), keyDir(job)}}
	switch file, err := lookForKeys(ctx, n); {
	case errors.Is(err, errNoFile): // no key of ours can be there
	case err != nil:
		return err
	default:
		scripts = append([][]string{{editScript, file, alias(job), keyDir(job)}}, scripts...)
	}
	for _, script := range scripts {
		res, err := n.Exec(ctx, append([]string{"sh", "-c", script[0], "horcrux"}, script[1:]...), strings.NewReader(""))
		if err == nil {
			err = res.Failed("sh")
		}
		if err != nil {
			return err
		}
	}
	return nil
}
