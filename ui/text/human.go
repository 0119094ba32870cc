package text

import (
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// Unknown is what stands where a number is not known or too old to be shown.
const Unknown = "?"

// Bytes writes a size in binary units: "3.2 GiB".
func Bytes(n uint64) string { return humanize.IBytes(n) }

// Rate writes a number of bytes per second: "118 MiB/s"; zero is "-".
func Rate(perSecond float64) string {
	if perSecond < 1 {
		return "-"
	}
	return humanize.IBytes(uint64(perSecond)) + "/s"
}

// ShortRate is Rate for a narrow column: "118M".
func ShortRate(perSecond float64) string {
	if perSecond < 1 {
		return "-"
	}
	s := humanize.IBytes(uint64(perSecond))
	num, unit, _ := strings.Cut(s, " ")
	return num + strings.TrimSuffix(unit, "iB")
}

// Percent writes a fraction of 1 as whole percent; it says 100 only when
// nothing is left, and 0 only when nothing is done.
func Percent(fraction float64) string {
	p := int(fraction * 100)
	switch {
	case fraction >= 1:
		p = 100
	case fraction <= 0:
		p = 0
	case p < 1:
		p = 1
	}
	return fmt.Sprintf("%d %%", p)
}

// Duration writes a span of time in at most two units: "84 ms", "4.2 s",
// "1m 04s", "2h 05m", "3d 04h".
func Duration(d time.Duration) string {
	if d < 0 {
		d = 0
	}
	switch {
	case d == 0:
		return "0 s"
	case d < time.Second:
		return fmt.Sprintf("%d ms", max(1, d.Milliseconds()))
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Truncate(100*time.Millisecond).Seconds())
	}
	return Clock(d)
}

// Clock is Duration for something that runs: whole seconds.
func Clock(d time.Duration) string {
	if d < 0 {
		d = 0
	}
	s := int(d / time.Second)
	switch {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return fmt.Sprintf("%dm %02ds", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%dh %02dm", s/3600, s/60%60)
	}
	return fmt.Sprintf("%dd %02dh", s/86400, s/3600%24)
}

// Ago writes an age: "12 s ago"; a fact that never was has none.
func Ago(seen, now time.Time) string {
	if seen.IsZero() {
		return "never"
	}
	return Clock(now.Sub(seen)) + " ago"
}

// Count writes a number with its noun: "1 VM", "3 VMs".
func Count(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return humanize.Comma(int64(n)) + " " + one + "s"
}

// Or returns s, or what stands for it when it is empty.
func Or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// Number writes a count; zero is "-".
func Number(n int) string {
	if n == 0 {
		return "-"
	}
	return humanize.Comma(int64(n))
}
