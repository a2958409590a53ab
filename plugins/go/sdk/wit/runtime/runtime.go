// Package runtime has the memory that generated bindings need: what the host
// writes, and what it reads while it is called.
package runtime

import (
	"runtime"
	"unsafe"
)

// Memory that the host has filled and that no Go value refers to yet.
var lowered runtime.Pinner

// Allocate makes memory that stays in its place as long as the pinner does.
func Allocate(pinner *runtime.Pinner, size, align uintptr) unsafe.Pointer {
	if size == 0 {
		return unsafe.Pointer(align)
	}
	// Eight bytes is the most that the canonical ABI aligns to.
	words := make([]uint64, (size+7)/8)
	memory := unsafe.Pointer(unsafe.SliceData(words))
	pinner.Pin(memory)
	return memory
}

//go:wasmexport cabi_realloc
func cabiRealloc(old unsafe.Pointer, oldSize, align, newSize uint32) unsafe.Pointer {
	memory := Allocate(&lowered, uintptr(newSize), uintptr(align))
	if oldSize > 0 {
		kept := min(oldSize, newSize)
		copy(unsafe.Slice((*byte)(memory), kept), unsafe.Slice((*byte)(old), kept))
	}
	return memory
}

// Unpin gives what the host has filled over to the Go values that refer to it
// by now: called when a call's results have been read.
func Unpin() {
	lowered.Unpin()
}

// Handle is the index of a resource that the host keeps.
type Handle struct {
	value int32
}

// MakeHandle takes over an index.
func MakeHandle(value int32) *Handle { return &Handle{value} }

// Use is the index of a handle that was neither dropped nor given away.
func (handle *Handle) Use() int32 {
	if handle.value == 0 {
		panic("a resource is used that was dropped or given away")
	}
	return handle.value
}

// Take gives the index away.
func (handle *Handle) Take() int32 {
	value := handle.Use()
	handle.value = 0
	return value
}

// TakeOrNil gives the index away, or 0 where there is none.
func (handle *Handle) TakeOrNil() int32 {
	value := handle.value
	handle.value = 0
	return value
}

// Set takes over an index.
func (handle *Handle) Set(value int32) { handle.value = value }
