// Package tools pins the Kubernetes control plane that the tests run against; nothing here is linked into Caracal.
package tools
