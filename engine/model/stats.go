package model

import "time"

// DomainStats are the counters of one domain at one moment.
type DomainStats struct {
	At      time.Time
	UUID    UUID
	State   DomainStatus
	CPUTime time.Duration // of all vCPUs and helpers together
	VCPUs   []VCPUStat
	// BalloonCurrent and BalloonMaximum are bytes; RSS is what QEMU has in RAM.
	BalloonCurrent, BalloonMaximum, RSS uint64
	Blocks                              []BlockStat
	Nets                                []NetStat
}

// VCPUStat is one vCPU.
type VCPUStat struct {
	State string // running, blocked, offline
	Time  time.Duration
	Timed bool // the host gave its time
}

// BlockStat are the counters of one disk; sizes are bytes.
type BlockStat struct {
	Target, Path                                       string
	ReadRequests, ReadBytes, WriteRequests, WriteBytes uint64
	FlushRequests, Errors                              uint64
	Capacity, Allocation, Physical                     uint64
}

// NetStat are the counters of one interface.
type NetStat struct {
	Target                                  string // vnet0
	RxBytes, RxPackets, RxErrors, RxDropped uint64
	TxBytes, TxPackets, TxErrors, TxDropped uint64
}
