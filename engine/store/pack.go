package store

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/klauspost/compress/zstd"
)

const (
	sampleBytes = 4 << 20
	// packBelow is the rate of a link above which compressing costs more than it
	// saves: zstd's fastest level does some hundred MB/s on one core.
	packBelow = 200 << 20
	// packGain is how much of the data must go away.
	packGain = 0.10
)

// packs decides whether what goes through this machine is compressed, and says
// why, in words to be added to those of the route.
func (c *Copy) packs(ctx context.Context, f *file) string {
	switch {
	case c.plan.Zstd == ZstdOff:
		return ""
	case !c.srcTools.Has("zstd") || !c.dstTools.Has("zstd"):
		return "; not compressed: zstd is not on both nodes"
	case c.plan.Zstd == ZstdOn:
		c.relay.pack = true
		return ""
	}
	var w window
	for _, t := range f.todo {
		if !t.small {
			w = t.pieces(sampleBytes)[0]
			break
		}
	}
	gain, rate, err := c.sample(ctx, f, w)
	if limit := c.pace.bandwidth(); limit > 0 {
		rate = min(rate, float64(limit))
	}
	switch {
	case err != nil:
		return ""
	case gain < packGain:
		return fmt.Sprintf("; not compressed: a sample shrank by %.0f %%", max(gain, 0)*100)
	case rate > packBelow:
		return fmt.Sprintf("; not compressed: the line takes %s/s", size(int64(rate)))
	}
	c.relay.pack = true
	return fmt.Sprintf(": a sample shrank by %.0f %% and the line takes %s/s", gain*100, size(int64(rate)))
}

// sample reads a little of a file over the line and compresses it here.
func (c *Copy) sample(ctx context.Context, f *file, w window) (gain, rate float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, short)
	defer cancel()
	s, err := c.src.Start(ctx, []string{"sh", "-c", readScript, "horcrux-copy"})
	if err != nil {
		return 0, 0, err
	}
	defer s.Close()
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if _, err := fmt.Fprintf(s, "%s\n%s\n", f.Source, w.list()); err != nil {
		return 0, 0, err
	}
	var all bytes.Buffer
	began := time.Now()
	if _, err := io.CopyN(&all, s, w.bytes()); err != nil {
		return 0, 0, err
	}
	took := time.Since(began)
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return 0, 0, err
	}
	defer enc.Close()
	packed := enc.EncodeAll(all.Bytes(), nil)
	return 1 - float64(len(packed))/float64(all.Len()), float64(all.Len()) / took.Seconds(), nil
}
