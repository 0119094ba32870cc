// Package config reads the configuration file: TOML, strict, with the line of
// whatever is wrong in it. It never writes one and never talks to a host.
//
// config.example.toml documents every key with its default; a test keeps the
// two together.
package config

import "time"

// Config is a whole configuration, with defaults filled in.
type Config struct {
	// PollInterval is how often what is on screen or moving is read.
	PollInterval time.Duration
	SSH          SSH
	Migration    Migration
	UI           UI
	Nodes        []Node
	Applications []Application
	// Path is the file it came from, empty for the built-in defaults.
	Path string
}

// SSH holds what is true for every node unless the node says otherwise.
// ~/.ssh/config and the agent are used as well.
type SSH struct {
	User           string
	IdentityFile   string // empty: those of ~/.ssh/config, the agent, the usual files
	KnownHosts     string
	ConfigFile     string // ~/.ssh/config
	ConnectTimeout time.Duration
	// Sudo runs what needs more than the user may through sudo -n.
	Sudo bool
}

// Migration holds the defaults of a move.
type Migration struct {
	Mode            string
	Bandwidth       uint64 // MiB/s, 0 is no limit
	MaxDowntime     time.Duration
	AutoConverge    bool
	ParallelPerNode int
	Policy          string // abort, suspend, post-copy
	Parallel        int    // connections for memory, 0 for one stream
	Compression     string // none, zstd, xbzrle
	TLS             string // auto, require, off
	ShutdownTimeout time.Duration
	ForceOff        bool
	Finish          string // live, stop
	Path            string // auto, direct, ssh, relay
	// Compare reads mirrored disks on both nodes where that costs no downtime.
	Compare bool
}

// UI holds the habits of the console.
type UI struct {
	Theme string // auto, dark, light
	ASCII bool
	Mouse bool
	// Notify is how the terminal is told of a move that ended or needs somebody:
	// bell, osc9, osc777, off.
	Notify string
	// Plain prints lines instead of drawing a screen.
	Plain bool
}

// Node is one host of the cluster. Empty fields take the value of SSH.
type Node struct {
	Name         string
	Address      string   // host or host:port
	Addresses    []string // further ways to the same host, tried in turn where none answers
	User         string
	IdentityFile string
	KnownHosts   string
	Jump         string // user@host:port[,...], as ProxyJump
	URI          string // libvirt URI on the node, qemu:///system
	// Sudo is [ssh] sudo for this node: nil for as there.
	Sudo *bool
	// MigrateAddress is where other nodes reach this one for the data of a
	// move; empty for the host part of Address.
	MigrateAddress string
}

// Application is a check of what runs inside VMs whose name matches VM.
type Application struct {
	VM      string        // a shell pattern, "web*"
	HTTP    string        // URL; {ip} and {name} are filled in
	Status  int           // expected HTTP status, 200
	TCP     string        // host:port, {ip}:5432
	Command []string      // run in the guest through its agent; exit 0 is good
	Timeout time.Duration // 5s
}

// Default is the configuration without a file: no nodes, and every default.
func Default() Config {
	return Config{
		PollInterval: 500 * time.Millisecond,
		SSH: SSH{
			User: "root", KnownHosts: "~/.ssh/known_hosts", ConfigFile: "~/.ssh/config",
			ConnectTimeout: 10 * time.Second,
		},
		Migration: Migration{
			Mode: "live", MaxDowntime: 900 * time.Millisecond, AutoConverge: true, ParallelPerNode: 2,
			Policy: "abort", Compression: "none", TLS: "auto", ShutdownTimeout: time.Minute, Finish: "live", Path: "auto", Compare: true,
		},
		UI: UI{Theme: "auto", Mouse: true, Notify: "bell"},
	}
}
