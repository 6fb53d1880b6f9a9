//go:build components

// Package components names the programs of Kubernetes that `cluster build`
// compiles; go.mod pins their version. `cluster pin VERSION` writes both
// module files anew. SPDX-License-Identifier: MIT
package components

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kube-controller-manager"
	_ "k8s.io/kubernetes/cmd/kube-proxy"
	_ "k8s.io/kubernetes/cmd/kube-scheduler"
	_ "k8s.io/kubernetes/cmd/kubelet"
)
