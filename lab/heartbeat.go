package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
)

// Beat is one line of a guest's heartbeat, written to its first disk and
// synced before the next one.
type Beat struct {
	Counter int     // goes up by one, also over a reboot
	Uptime  float64 // seconds since the guest's kernel started
	Boot    string  // another one after every boot
}

// ParseBeats reads a heartbeat file. A last line without its end is left out:
// the image may have been frozen while it was written. Any other line that is
// no beat is an error, but for one that was being written when the guest died.
func ParseBeats(text string) ([]Beat, error) {
	var beats []Beat
	for line := range strings.Lines(text) {
		whole, ok := strings.CutSuffix(line, "\n")
		if !ok {
			break
		}
		torn, whole := cutTorn(whole)
		b, err := parseBeat(whole)
		if err != nil {
			return beats, fmt.Errorf("cannot read beat %d: %w", len(beats)+1, err)
		}
		if torn != "" {
			t, err := tornBeat(torn, beats, b)
			if err != nil {
				return beats, err
			}
			beats = append(beats, t)
		}
		beats = append(beats, b)
	}
	return beats, nil
}

func parseBeat(line string) (Beat, error) {
	f := strings.Fields(line)
	if len(f) != 3 {
		return Beat{}, fmt.Errorf("%q", line)
	}
	n, err1 := strconv.Atoi(f[0])
	up, err2 := strconv.ParseFloat(f[1], 64)
	return Beat{n, up, f[2]}, errors.Join(err1, err2)
}

// cutTorn parts a line at zeros, which are where nothing was written yet: ext4
// may have a file's new size on the disk before the block that it grew into.
func cutTorn(line string) (torn, rest string) {
	first, last := strings.IndexByte(line, 0), strings.LastIndexByte(line, 0)
	if first < 0 {
		return "", line
	}
	return line[:last+1], line[last+1:]
}

// tornBeat is the beat that a guest was about to write when it died: the next
// one by its number, with another boot after it. It was not synced, and must
// not be one that the guest has told of: it equals none that was ever written.
func tornBeat(torn string, before []Beat, after Beat) (Beat, error) {
	words := strings.Split(strings.TrimRight(torn, "\x00"), " ")
	n, err := strconv.Atoi(words[0])
	if err != nil || len(words) < 2 || len(before) == 0 || strings.Contains(strings.Join(words, ""), "\x00") {
		return Beat{}, fmt.Errorf("cannot read beat %d: %q", len(before)+1, torn)
	}
	if last := before[len(before)-1]; n == last.Counter+1 && after.Boot != last.Boot {
		return Beat{n, last.Uptime, last.Boot}, nil
	}
	return Beat{}, fmt.Errorf("beat %d is torn, and the guest went on: %q", n, torn)
}

// CheckBeats proves that no beat is missing, doubled or out of order, and tells
// how often the guest booted.
func CheckBeats(beats []Beat) (boots int, err error) {
	seen := map[string]bool{}
	for i, b := range beats {
		if i > 0 && b.Counter != beats[i-1].Counter+1 {
			return len(seen), fmt.Errorf("beat %d follows beat %d", b.Counter, beats[i-1].Counter)
		}
		if i > 0 && b.Boot == beats[i-1].Boot && b.Uptime < beats[i-1].Uptime {
			return len(seen), fmt.Errorf("beat %d is older than the one before it", b.Counter)
		}
		if i > 0 && b.Boot != beats[i-1].Boot && seen[b.Boot] {
			return len(seen), fmt.Errorf("beat %d is of an earlier boot", b.Counter)
		}
		seen[b.Boot] = true
	}
	return len(seen), nil
}

// Heartbeat reads the heartbeat out of a guest's first disk from outside: image
// is its path on the host. A running VM's image works too, and then shows at
// least every beat that was on the disk when the reading began.
func (l *Lab) Heartbeat(ctx context.Context, node, image string) ([]Beat, error) {
	text, err := l.ReadGuestFile(ctx, node, image, "/heartbeat")
	if err != nil {
		return nil, err
	}
	return ParseBeats(text)
}

// ReadGuestFile reads a file out of a guest's first disk from outside.
func (l *Lab) ReadGuestFile(ctx context.Context, node, image, file string) (string, error) {
	n, err := l.node(node)
	if err != nil {
		return "", err
	}
	raw, done, err := n.rawCopy(ctx, image)
	if err != nil {
		return "", err
	}
	defer done()
	return n.cat(ctx, raw, file)
}

// cat reads a file out of a raw image. The copy of a disk in use has blocks of
// different moments, so that the checksums and bitmaps of the file system,
// which a guest writes back when it likes, do not fit: they are not looked at.
// debugfs says that it failed on stderr only.
func (n *Node) cat(ctx context.Context, raw, file string) (string, error) {
	var stderr bytes.Buffer
	out, err := n.execTo(ctx, &stderr, "", "debugfs", "-n", "-c", "-R", "cat "+file, raw)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(stderr.String()) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "debugfs ") || strings.HasSuffix(line, "File not found by ext2_lookup") {
			continue
		}
		return "", fmt.Errorf("cannot read %s out of %s on %s: %s", file, raw, n.Name, line)
	}
	return out, nil
}

// rawCopy makes a sparse raw copy of an image, in use or not. It is made in
// the host's memory file system so that a full disk does not prevent it.
func (n *Node) rawCopy(ctx context.Context, image string) (raw string, done func(), err error) {
	raw = path.Join("/tmp", "look-"+randomHex(6)+".raw")
	done = func() { n.Exec(context.WithoutCancel(ctx), "rm", "-f", raw) } //nolint:errcheck // it is in memory only
	if _, err := n.Exec(ctx, "qemu-img", "convert", "-U", "-O", "raw", image, raw); err != nil {
		done()
		return "", nil, err
	}
	return raw, done, nil
}

// ReadGuestFiles reads files out of one copy of a guest's first disk. A file
// that is not there is empty.
func (l *Lab) ReadGuestFiles(ctx context.Context, node, image string, files ...string) (map[string]string, error) {
	n, err := l.node(node)
	if err != nil {
		return nil, err
	}
	raw, done, err := n.rawCopy(ctx, image)
	if err != nil {
		return nil, err
	}
	defer done()
	out := map[string]string{}
	for _, f := range files {
		if out[f], err = n.cat(ctx, raw, f); err != nil {
			return nil, err
		}
	}
	return out, nil
}
