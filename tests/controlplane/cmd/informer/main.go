// Command informer fills one client-go informer and says how long that took and what it weighs: the
// peer that the benchmarks compare with.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"orka/tests/controlplane/internal/peer"
)

type result struct {
	Objects       int     `json:"objects"`
	SyncedSeconds float64 `json:"synced_seconds"` // from the start of the first request
	RSSBytes      int     `json:"rss_bytes"`
}

func main() {
	peer.Exit(run())
}

func run() (result, error) {
	flags := flag.NewFlagSet("informer", flag.ExitOnError)
	mode := flags.String("mode", "metadata", "metadata, or dynamic for whole objects")
	timeout := flags.Duration("timeout", time.Minute, "give up after")
	target, err := peer.Parse(flags, os.Args[1:])
	if err != nil {
		return result{}, err
	}
	informer, err := newInformer(target, *mode)
	if err != nil {
		return result{}, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	start := time.Now()
	go informer.Informer().RunWithContext(ctx)
	// cache.WaitForCacheSync looks every 100 ms only, a third of what is measured.
	for !informer.Informer().HasSynced() {
		if ctx.Err() != nil {
			return result{}, fmt.Errorf("%s not synced after %s", target.Resource, *timeout)
		}
		time.Sleep(time.Millisecond)
	}
	synced := time.Since(start)
	rss, err := residentBytes()
	return result{len(informer.Informer().GetStore().ListKeys()), synced.Seconds(), rss}, err
}

func newInformer(target peer.Target, mode string) (informers.GenericInformer, error) {
	switch mode {
	case "metadata":
		client, err := metadata.NewForConfig(target.Config)
		if err != nil {
			return nil, err
		}
		return metadatainformer.NewSharedInformerFactory(client, 0).ForResource(target.Resource), nil
	case "dynamic":
		client, err := dynamic.NewForConfig(target.Config)
		if err != nil {
			return nil, err
		}
		return dynamicinformer.NewDynamicSharedInformerFactory(client, 0).ForResource(target.Resource), nil
	}
	return nil, fmt.Errorf("--mode %q is neither metadata nor dynamic", mode)
}

func residentBytes() (int, error) {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(statm)) // size, resident, ... in pages
	if len(fields) < 2 {
		return 0, fmt.Errorf("/proc/self/statm has no resident size: %q", statm)
	}
	pages, err := strconv.Atoi(fields[1])
	return pages * os.Getpagesize(), err
}
