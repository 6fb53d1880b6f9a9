package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"google.golang.org/grpc"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/interop"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/stats"
)

func serve(address string, age, ping time.Duration) {
	const size = 64 << 20
	server := grpc.NewServer(
		grpc.MaxRecvMsgSize(size), grpc.MaxSendMsgSize(size),
		grpc.UnaryInterceptor(noteUnary), grpc.StreamInterceptor(noteStream),
		grpc.StatsHandler(connections{}),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: age, Time: ping, Timeout: ping}))
	testpb.RegisterTestServiceServer(server, interop.NewTestServer())
	healthpb.RegisterHealthServer(server, health.NewServer())
	reflection.Register(server)

	listener, err := shared(address)
	if err != nil {
		log.Fatal(err)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	go func() {
		<-signals
		server.GracefulStop()
	}()
	fmt.Println("listening")
	if err := server.Serve(listener); err != nil {
		log.Fatal(err)
	}
}

// A successor may listen on the same port while its predecessor drains.
func shared(address string) (net.Listener, error) {
	const reusePort = 15
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, reusePort, 1) })
		return
	}}
	return config.Listen(context.Background(), "tcp", address)
}

func note(ctx context.Context) metadata.MD {
	fields, _ := metadata.FromIncomingContext(ctx)
	for _, id := range fields["call-id"] {
		fmt.Printf("seen /seen/%s\n", id)
	}
	for _, duration := range fields["wait"] {
		wait, _ := time.ParseDuration(duration)
		time.Sleep(wait)
	}
	host, _ := os.Hostname()
	return metadata.Pairs("pod", host)
}

func noteUnary(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	grpc.SetHeader(ctx, note(ctx))
	return handle(ctx, request)
}

func noteStream(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	stream.SetHeader(note(stream.Context()))
	return handle(server, stream)
}

// Prints each connection, when it begins and when it ends.
type connections struct{}

func (connections) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (connections) HandleRPC(context.Context, stats.RPCStats)                         {}
func (connections) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

func (connections) HandleConn(_ context.Context, s stats.ConnStats) {
	switch s.(type) {
	case *stats.ConnBegin:
		fmt.Println("connection begins")
	case *stats.ConnEnd:
		fmt.Println("connection ends")
	}
}
