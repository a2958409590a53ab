// Package export_soma_neuron_handler is where the generated export calls the
// SDK. Written by hand.
package export_soma_neuron_handler

import (
	types "soma/contract/soma_neuron_types"
	wit "soma/wit/types"
)

// Handler does one task; the SDK sets it.
var Handler func(types.Task) wit.Result[types.Reply, types.Failure]

// Handle is what the generated export calls.
func Handle(task types.Task) wit.Result[types.Reply, types.Failure] {
	return Handler(task)
}
