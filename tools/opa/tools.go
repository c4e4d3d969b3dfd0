// Package tools pins the OPA that compiles Rego to WebAssembly; nothing here is linked into Caracal.
package tools
