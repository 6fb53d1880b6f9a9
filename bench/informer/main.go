// bench/informer/main.go - what a client-go informer cache of the same objects takes
//
// Lists and watches services and endpoint slices, as controllers do, and prints when its
// caches are filled. Everything that is not needed is left out of the objects first when
// -trim is given, as a careful program would.
//
// SPDX-License-Identifier: MIT
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

func withoutManagedFields(object any) (any, error) {
	if o, err := meta.Accessor(object); err == nil {
		o.SetManagedFields(nil)
		o.SetAnnotations(nil)
	}
	return object, nil
}

func main() {
	kubeconfig := flag.String("kubeconfig", "", "")
	trim := flag.Bool("trim", false, "leave out what is not needed")
	json := flag.Bool("json", false, "JSON instead of protobuf")
	flag.Parse()

	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if !*json {
		config.ContentType = "application/vnd.kubernetes.protobuf"
		config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	}
	client := kubernetes.NewForConfigOrDie(config)
	options := []informers.SharedInformerOption{}
	if *trim {
		options = append(options, informers.WithTransform(withoutManagedFields))
	}
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, options...)
	services := factory.Core().V1().Services().Informer()
	slices := factory.Discovery().V1().EndpointSlices().Informer()
	began := time.Now()
	stop := make(chan struct{})
	factory.Start(stop)
	factory.WaitForCacheSync(stop)
	fmt.Printf("synced %d services %d slices after %v\n", len(services.GetStore().ListKeys()),
		len(slices.GetStore().ListKeys()), time.Since(began))
	debug.FreeOSMemory()
	fmt.Println("ready")

	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	<-end
}
