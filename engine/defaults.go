package engine

import (
	"horcrux/config"
	"horcrux/engine/model"
)

// Defaults are the options of a move as the configuration has them.
func Defaults(m config.Migration) model.Options {
	return model.Options{
		Bandwidth: m.Bandwidth, MaxDowntime: m.MaxDowntime, AutoConverge: m.AutoConverge,
		Policy: model.Policy(m.Policy), Parallel: m.Parallel, Compression: model.Compression(m.Compression), TLS: model.TLS(m.TLS),
		ShutdownTimeout: m.ShutdownTimeout, ForceOff: m.ForceOff, Finish: model.Finish(m.Finish), Path: model.DataPath(m.Path), NoCompare: !m.Compare,
	}
}
