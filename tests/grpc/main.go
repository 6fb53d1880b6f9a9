// Server and client of grpc-go, for tests of kube-tunnel.
//
//	peer serve ADDRESS [--age DURATION] [--ping DURATION]
//	peer check [--authority NAME] [--socks ADDRESS] [--ca FILE] TARGET CASE
//	peer ech --ca FILE ADDRESS OUTER-NAME INNER-NAME
//
// The server has gRPC's own interoperability service, health and reflection. It prints a
// line for each connection and for each call with the metadata "call-id", waits as long as
// the metadata "wait" says, answers each call with its host's name in the header "pod", and
// drains when it gets SIGTERM.
//
// The client runs one case, gRPC's own or one of checks.go, and exits with status 0 when
// it passed. http_proxy and https_proxy hold for it as for every program in Go.
//
// ech is a TLS client with Encrypted Client Hello.
//
// SPDX-License-Identifier: MIT
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"time"

	"golang.org/x/net/proxy"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

const usage = "peer serve ADDRESS | peer check TARGET CASE | peer ech ADDRESS OUTER INNER"

func main() {
	log.SetFlags(0)
	if len(os.Args) < 2 {
		log.Fatal(usage)
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	switch os.Args[1] {
	case "serve":
		age := flags.Duration("age", 0, "connections are given up after this time")
		ping := flags.Duration("ping", 0, "silent connections get a PING after this time")
		flags.Parse(os.Args[2:])
		serve(flags.Arg(0), *age, *ping)
	case "check":
		authority := flags.String("authority", "", "the name in :authority")
		socks := flags.String("socks", "", "address of a SOCKS5 proxy")
		ca := flags.String("ca", "", "speak TLS, and trust this authority")
		flags.Parse(os.Args[2:])
		check(flags.Arg(0), flags.Arg(1), options(*authority, *socks, *ca))
	case "ech":
		ca := flags.String("ca", "", "trust this authority")
		flags.Parse(os.Args[2:])
		ech(flags.Arg(0), flags.Arg(1), flags.Arg(2), *ca)
	default:
		log.Fatal(usage)
	}
}

func check(target, name string, options []grpc.DialOption) {
	run, ok := cases[name]
	if !ok {
		log.Fatal("no such case: ", name)
	}
	conn, err := grpc.NewClient(target, options...)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := run(ctx, conn); err != nil {
		log.Fatalf("%s: %v", name, err)
	}
	fmt.Println("passed", name)
}

func security(authority, ca string) credentials.TransportCredentials {
	if ca == "" {
		return insecure.NewCredentials()
	}
	tls, err := credentials.NewClientTLSFromFile(ca, authority)
	if err != nil {
		log.Fatal(err)
	}
	return tls
}

func options(authority, socks, ca string) []grpc.DialOption {
	const size = 64 << 20
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(security(authority, ca)),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(size), grpc.MaxCallSendMsgSize(size)),
		grpc.WithDisableRetry(),
	}
	if authority != "" {
		options = append(options, grpc.WithAuthority(authority))
	}
	if socks != "" {
		options = append(options, grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			dialer, err := proxy.SOCKS5("tcp", socks, nil, nil)
			if err != nil {
				return nil, err
			}
			return dialer.(proxy.ContextDialer).DialContext(ctx, "tcp", address)
		}))
	}
	return options
}
