// Package tether keeps a command on a node from outliving the process that
// wanted it.
package tether

import (
	"context"
	"io"
	"time"
)

// beat is how often a command on a node hears from us. It waits for a minute:
// ten beats may be lost.
const beat = 6 * time.Second

// script runs a command that ends when standard input ends or is silent for a
// minute: sshd does not tell its children that their peer is gone, and notices
// a dead peer only after hours.
const script = `exec 3<&0
"$@" </dev/null 3<&- &
p=$!
{ while [ -n "$(timeout 60 dd bs=1 count=1 2>/dev/null <&3)" ]; do :; done
kill $p; sleep 5; kill -9 $p; } >/dev/null 2>&1 &
w=$!
exec 3<&-
wait $p
r=$?
kill $w 2>/dev/null
exit $r`

// Command is a command that ends when its standard input does.
func Command(argv ...string) []string {
	return append([]string{"sh", "-c", script, "horcrux-copy"}, argv...)
}

// Heart is standard input of such a command: a dot now and then, until the
// context ends.
func Heart(ctx context.Context) io.Reader { return heart{ctx} }

type heart struct{ ctx context.Context }

func (h heart) Read(b []byte) (int, error) {
	t := time.NewTimer(beat)
	defer t.Stop()
	select {
	case <-h.ctx.Done():
		return 0, io.EOF
	case <-t.C:
		b[0] = '.'
		return 1, nil
	}
}

// Feed gives a command that runs signs of life until stop is called.
func Feed(to io.Writer) (stop context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		h := heart{ctx}
		b := make([]byte, 1)
		for {
			if _, err := h.Read(b); err != nil {
				return
			}
			if _, err := to.Write(b); err != nil {
				return
			}
		}
	}()
	return cancel
}
