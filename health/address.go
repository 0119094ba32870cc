package health

import (
	"context"
	"net/netip"
	"slices"
	"time"
)

// maxAddresses bounds how many addresses of one guest are tried and shown.
const maxAddresses = 4

// addresses are the guest's own that can be reached from elsewhere, IPv4 first,
// or none if nobody says so within the time.
func (e *exam) addresses(ctx context.Context, patience time.Duration) []string {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	// The question may go to the agent, which answers one at a time.
	release, err := e.holdAgent(ctx)
	if err != nil {
		return nil
	}
	defer release()
	raw, err := e.t.Addresses(ctx)
	if err != nil {
		return nil
	}
	var ips []netip.Addr
	for _, s := range raw {
		ip, err := netip.ParseAddr(s)
		if err != nil || ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() {
			continue
		}
		ips = append(ips, ip.WithZone(""))
	}
	slices.SortStableFunc(ips, func(a, b netip.Addr) int { return a.BitLen() - b.BitLen() })
	var out []string
	for _, ip := range ips[:min(len(ips), maxAddresses)] {
		out = append(out, ip.String())
	}
	return out
}
