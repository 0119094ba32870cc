package store

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"horcrux/engine/tether"
	"horcrux/engine/transport"
	"horcrux/engine/virt"
)

// lockScript holds files open with qemu-io, each until standard input ends or
// is silent. qemu-io prints a size once it has the lock.
const lockScript = `exec 3<&0
all=
for o; do
stdbuf -oL qemu-io -r -c length -c "sleep 2147483647" "$o" </dev/null 3<&- &
all="$all $!"
done
while [ -n "$(timeout 60 dd bs=1 count=1 2>/dev/null <&3)" ]; do :; done
kill $all 2>/dev/null
wait`

// lockImage is how a file is opened so that nobody can open it for writing.
// Opening it to read is not enough: then QEMU shares it with writers. The
// driver blkdebug is the one that can be told not to.
func lockImage(name, token string) (string, error) {
	return asJSON(map[string]any{
		"driver":    "raw",
		"read-only": true,
		"file": map[string]any{
			"driver":              "blkdebug",
			"node-name":           token,
			"take-child-perms":    []string{"consistent-read"},
			"unshare-child-perms": []string{"write", "resize"},
			"image":               map[string]any{"driver": "file", "filename": name},
		},
	})
}

// asJSON makes a name as QEMU's tools take it.
func asJSON(v map[string]any) (string, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", err
	}
	return "json:" + strings.TrimSpace(b.String()), nil
}

// guard is a held lock.
type guard struct {
	stop   context.CancelFunc
	stream transport.Stream
	gone   chan struct{} // closed when it is not held any more
}

// lockFiles keeps every QEMU on the node from opening the files for writing.
func lockFiles(ctx context.Context, n Node, names []string, token string) (*guard, error) {
	what := "lock the source files"
	argv := []string{"sh", "-c", lockScript, "horcrux-copy"}
	for i, name := range names {
		opts, err := lockImage(name, fmt.Sprintf("%s-%d", token, i))
		if err != nil {
			return nil, err
		}
		argv = append(argv, opts)
	}
	ctx, cancel := context.WithTimeout(ctx, short)
	defer cancel()
	s, err := n.Start(ctx, argv)
	if err != nil {
		return nil, &lineError{what, string(n.Name()), err}
	}
	g := keep(s)
	ready := make(chan error, 1)
	go func() {
		in := bufio.NewScanner(s)
		for range names {
			if !in.Scan() {
				ready <- errHelper
				return
			}
		}
		ready <- nil
		for in.Scan() {
		}
		close(g.gone)
	}()
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case err = <-ready:
		case <-ctx.Done():
			err = ctx.Err()
		case <-look.C:
			if !strings.Contains(s.Stderr(), "can't open") {
				continue
			}
			err = refused(what, n, s.Stderr())
		}
		if err == nil {
			return g, nil
		}
		g.release()
		var said *runError
		if errors.As(err, &said) {
			return nil, err
		}
		return nil, &lineError{what, string(n.Name()), err}
	}
}

// refused says in words why qemu-io did not get the lock.
func refused(what string, n Node, stderr string) error {
	why := virt.Clean(inWords(stderr))
	if strings.Contains(why, "lock") {
		why = "another process writes to one of them, a VM that runs perhaps: " + why
	}
	return &runError{what, string(n.Name()), why, 1}
}

// keep feeds a helper's standard input with signs of life.
func keep(s transport.Stream) *guard {
	return &guard{stop: tether.Feed(s), stream: s, gone: make(chan struct{})}
}

// held tells whether the lock is still there, as far as we know.
func (g *guard) held() bool {
	if g == nil {
		return false
	}
	select {
	case <-g.gone:
		return false
	default:
		return true
	}
}

func (g *guard) release() {
	if g == nil {
		return
	}
	g.stop()
	_ = g.stream.CloseWrite()
	_ = g.stream.Close()
}
