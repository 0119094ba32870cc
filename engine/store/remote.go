package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"horcrux/engine/tether"
	"horcrux/engine/transport"
	"horcrux/engine/virt"
)

// short is the time for an act that moves no data.
const short = 30 * time.Second

// runError is a command that ran on a node and failed there.
type runError struct {
	what, node, why string
	code            int
}

func (e *runError) Error() string {
	return fmt.Sprintf("cannot %s on %s: %s", e.what, e.node, e.why)
}

// lineError is a command of which we do not know how it ended.
type lineError struct {
	what, node string
	err        error
}

func (e *lineError) Error() string { return fmt.Sprintf("cannot %s on %s: %v", e.what, e.node, e.err) }

func (e *lineError) Unwrap() error { return e.err }

// run runs a short command and gives what it printed.
func run(ctx context.Context, n Node, what string, stdin io.Reader, argv ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, short)
	defer cancel()
	return runLong(ctx, n, what, stdin, argv...)
}

// runLong is run without a deadline of its own.
func runLong(ctx context.Context, n Node, what string, stdin io.Reader, argv ...string) (string, error) {
	r, err := n.Exec(ctx, argv, stdin)
	if err != nil {
		return "", &lineError{what, string(n.Name()), err}
	}
	if r.Code != 0 {
		return "", &runError{what, string(n.Name()), reason(r), r.Code}
	}
	if r.Truncated {
		return "", &runError{what, string(n.Name()), "it says more than we read", 0}
	}
	return string(r.Stdout), nil
}

// runSupervised runs a command that takes its time and must not outlive us.
func runSupervised(ctx context.Context, n Node, what string, argv ...string) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return runLong(ctx, n, what, tether.Heart(ctx), tether.Command(argv...)...)
}

// reason is the last thing that a command complained of: qemu's tools say what
// they did before they say why it failed.
func reason(r transport.Result) string {
	text := strings.TrimSpace(string(r.Stderr))
	if text == "" {
		text = strings.TrimSpace(string(r.Stdout))
	}
	if text == "" {
		return fmt.Sprintf("it ended with %d", r.Code)
	}
	return virt.Clean(inWords(text))
}

// described is an image as we described it to one of qemu's tools, which then
// print it all back. The tools are told apart by what they were asked to do.
var described = regexp.MustCompile(`(?:Could not open |can't open device )'?json:\{.*?\}'?: `)

func inWords(text string) string { return described.ReplaceAllString(text, "") }

// interrupted tells whether an error is the end of a connection or of a helper,
// after which the same can be tried again.
func interrupted(err error) bool {
	var line *lineError
	return errors.As(err, &line) || errors.Is(err, errHelper)
}

// errHelper is a helper on a node that ended or stopped answering.
var errHelper = errors.New("the helper on the node ended")

// killScript ends what an earlier attempt left on a node, and waits until it is
// gone: qemu's tools and shells that carry our token, and whatever still writes
// to our partial files, which might otherwise come late with old data. The token
// comes in two halves, so that this shell does not find itself.
const killScript = `ours() {
for f in $(grep -lszE -e "$1|[.]partial-$2\$" /proc/[0-9]*/cmdline); do
p=${f#/proc/}; p=${p%/cmdline}
case $(readlink "/proc/$p/exe" 2>/dev/null) in
*/qemu-nbd*|*/qemu-img*|*/qemu-io*|*/dd|*/coreutils|*/dash|*/bash|*/sh|*/busybox) echo "$p";;
esac
done; }
i=0
while [ $i -lt 50 ]; do
all=$(ours "$1$2" "$3")
[ -z "$all" ] && exit 0
kill -9 $all 2>/dev/null
sleep 0.1
i=$((i+1))
done
echo "processes $all do not end" >&2
exit 1`

// sweep ends what an earlier attempt left running on a node.
func sweep(ctx context.Context, n Node, job string) error {
	_, err := run(ctx, n, "end what an earlier copy left", nil, "sh", "-c", killScript, "horcrux-copy", token(job)[:12], token(job)[12:], job)
	return err
}
