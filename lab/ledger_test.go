package lab

import (
	"strconv"
	"strings"
	"testing"
)

func TestCheckLedger(t *testing.T) {
	block := func(n int) string {
		s := strconv.Itoa(n) + "\n"
		return strings.Repeat(s, ledgerBlock)[:ledgerBlock]
	}
	ring := func(from, to int) string {
		slots := make([]string, ledgerSlots)
		for i := range slots {
			slots[i] = strings.Repeat("\x00", ledgerBlock)
		}
		for b := from; b <= to; b++ {
			slots[b%ledgerSlots] = block(b)
		}
		return strings.Join(slots, "")
	}
	put := func(text string, slot int, with string) string {
		return text[:slot*ledgerBlock] + with + text[slot*ledgerBlock+len(with):]
	}
	beats := func(from, to int) []Beat { return []Beat{{Counter: from}, {Counter: to}} }
	for name, tt := range map[string]struct {
		text   string
		beats  []Beat
		blocks int
		bad    bool
	}{
		"nothing yet":        {"", nil, 0, false},
		"before a block":     {"", beats(1, 3), 0, false},
		"young":              {ring(1, 10), beats(1, 42), 10, false},
		"round the ring":     {ring(1, 200), beats(1, 803), 64, false},
		"newer than beats":   {ring(1, 204), beats(1, 800), 64, false},
		"one is being made":  {put(ring(1, 200), 201%64, block(201)[:4096]), beats(1, 800), 64, false},
		"one write was lost": {put(ring(1, 200), 190%64, block(190-64)), beats(1, 800), 0, true},
		"half of one":        {put(ring(1, 200), 190%64, block(190 - 64)[:4096]), beats(1, 800), 0, true},
		"zeros":              {put(ring(1, 200), 190%64, strings.Repeat("\x00", 4096)), beats(1, 800), 0, true},
		"all lost":           {"", beats(1, 42), 0, true},
		"older than beats":   {ring(1, 9), beats(1, 42), 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			n, err := CheckLedger(tt.text, tt.beats)
			if (err != nil) != tt.bad || err == nil && n != tt.blocks {
				t.Errorf("%d blocks, %v", n, err)
			}
		})
	}
}
