// CoreDNS with the plugins that the tests compare the DNS server with, and no others: so it builds in
// two minutes. SPDX-License-Identifier: MIT
package main

import (
	_ "github.com/coredns/coredns/plugin/any"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"

	"github.com/coredns/coredns/coremain"
)

func main() { coremain.Run() }
