package ends

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"horcrux/engine/model"
	"horcrux/engine/virt"
)

// File looks at one file or device: its size and when it was written last.
func (e *End) File(ctx context.Context, p string) model.FileFact {
	f := model.FileFact{Path: p}
	if err := absolute(p); err != nil {
		f.Err = err.Error()
		return f
	}
	res, err := e.node.Exec(ctx, []string{"stat", "-L", "-c", "%s %Y", "--", p}, nil)
	switch {
	case err != nil:
		f.Err = err.Error()
	case res.Code != 0:
		f.Err = virt.Clean(strings.TrimSpace(string(res.Stderr)))
	default:
		f.Size, f.Written, err = parseStat(string(res.Stdout))
		if err != nil {
			f.Err = err.Error()
		}
	}
	return f
}

// parseStat reads "SIZE SECONDS".
func parseStat(s string) (size uint64, at time.Time, err error) {
	a, b, ok := strings.Cut(strings.TrimSpace(s), " ")
	if !ok {
		return 0, at, fmt.Errorf("cannot read the answer of stat: %q", virt.Clean(s))
	}
	if size, err = strconv.ParseUint(a, 10, 64); err != nil {
		return 0, at, fmt.Errorf("cannot read the answer of stat: %q", virt.Clean(s))
	}
	n, err := strconv.ParseInt(b, 10, 64)
	if err != nil || n < 0 || n > 1<<40 {
		return 0, at, fmt.Errorf("cannot read the answer of stat: %q", virt.Clean(s))
	}
	return size, time.Unix(n, 0), nil
}
