// Command load makes, changes and deletes many objects of one kind through client-go.
//
//	load create --count N --namespaces M   N objects over namespaces ns-00, ns-01, ...
//	load churn --rate R --seconds S        R annotation patches a second, round robin
//	load delete --count N                  the first N by namespace and name, all without --count
//
// Each ends with one JSON line that counts what it did; churn prints one of zeros when it begins.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"orka/tests/controlplane/internal/peer"
)

const (
	workers = 16
	// Two field managers each, as a user and a controller leave behind: managedFields is most of
	// the metadata of a real object.
	maker, controller = "load-maker", "load-controller"
)

var namespaceResource = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}

// template is how an object of one resource looks. It is a table, as no generic body is valid.
type template struct {
	kind        string
	content     map[string]any // top-level fields beside metadata
	patch       string         // what the controller adds
	subresource []string       // where it adds it
}

var templates = map[string]template{
	"certificates.cert-manager.io": {
		kind: "Certificate",
		content: map[string]any{"spec": map[string]any{
			"secretName": "load-tls",
			"dnsNames":   []any{"a.example.org", "b.example.org"},
			"issuerRef":  map[string]any{"kind": "ClusterIssuer", "name": "load"},
		}},
		patch: `{"status":{"revision":1,"conditions":[{"type":"Ready","status":"True",` +
			`"reason":"Ready","message":"Certificate is up to date and has not expired",` +
			`"lastTransitionTime":"2025-01-01T00:00:00Z","observedGeneration":1}]}}`,
		subresource: []string{"status"},
	},
	"configmaps": {
		kind:    "ConfigMap",
		content: map[string]any{"data": map[string]any{"key": "value"}},
		patch:   `{"data":{"checked":"true"}}`,
	},
}

type result struct {
	Objects int     `json:"objects"` // made, patched (each patch counts) or deleted
	Errors  int     `json:"errors"`  // churn only; the other verbs end at the first
	Seconds float64 `json:"seconds"`
}

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	peer.Exit(run(ctx, os.Args[1:]))
}

func run(ctx context.Context, args []string) (result, error) {
	if len(args) == 0 {
		return result{}, errors.New("needs a verb: create, churn or delete")
	}
	flags := flag.NewFlagSet("load "+args[0], flag.ExitOnError)
	count := flags.Int("count", 0, "objects; 0 deletes all")
	namespaces := flags.Int("namespaces", 20, "create: over how many namespaces")
	rate := flags.Float64("rate", 100, "churn: patches a second")
	seconds := flags.Float64("seconds", 10, "churn: for how long; SIGTERM ends it earlier")
	target, err := peer.Parse(flags, args[1:])
	if err != nil {
		return result{}, err
	}
	start := time.Now()
	var done result
	switch args[0] {
	case "create":
		done, err = create(ctx, target, *count, *namespaces)
	case "churn":
		done, err = churn(ctx, target, *rate, time.Duration(*seconds*float64(time.Second)))
	case "delete":
		done, err = remove(ctx, target, *count)
	default:
		err = fmt.Errorf("verb %q is none of create, churn, delete", args[0])
	}
	done.Seconds = time.Since(start).Seconds()
	return done, err
}

func create(ctx context.Context, target peer.Target, count, namespaces int) (result, error) {
	shape, ok := templates[target.Resource.GroupResource().String()]
	if !ok {
		return result{}, fmt.Errorf("no template for --resource %s", target.Resource.GroupResource())
	}
	if count < 1 || namespaces < 1 {
		return result{}, fmt.Errorf("--count %d and --namespaces %d must be 1 or more", count, namespaces)
	}
	clients, err := newClients(target)
	if err != nil {
		return result{}, err
	}
	err = each(min(count, namespaces), func(worker, i int) error {
		object := newObject(schema.GroupVersion{Version: "v1"}, "Namespace", fmt.Sprintf("ns-%02d", i))
		_, err := clients[worker].Resource(namespaceResource).Create(ctx, object, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			return nil
		}
		return err
	})
	if err != nil {
		return result{}, err
	}
	err = each(count, func(worker, i int) error {
		object := newObject(target.Resource.GroupVersion(), shape.kind, fmt.Sprintf("load-%05d", i))
		for field, value := range shape.content {
			object.Object[field] = value
		}
		client := clients[worker].Resource(target.Resource).Namespace(fmt.Sprintf("ns-%02d", i%namespaces))
		if _, err := client.Create(ctx, object, metav1.CreateOptions{FieldManager: maker}); err != nil {
			return err
		}
		_, err := client.Patch(ctx, object.GetName(), types.MergePatchType, []byte(shape.patch),
			metav1.PatchOptions{FieldManager: controller}, shape.subresource...)
		return err
	})
	return result{Objects: count}, err
}

func newObject(version schema.GroupVersion, kind, name string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{Object: map[string]any{}}
	object.SetAPIVersion(version.String())
	object.SetKind(kind)
	object.SetName(name)
	object.SetLabels(map[string]string{"app": "load"})
	return object
}

// churn keeps its rate and counts failures instead of ending: the server may be taken away under it.
func churn(ctx context.Context, target peer.Target, rate float64, length time.Duration) (result, error) {
	if rate <= 0 {
		return result{}, fmt.Errorf("--rate %g must be above 0", rate)
	}
	target.Config.Timeout = 5 * time.Second // a paused server must not swallow the workers for good
	clients, err := newClients(target)
	if err != nil {
		return result{}, err
	}
	keys, err := list(ctx, target)
	if err != nil {
		return result{}, err
	}
	if len(keys) == 0 {
		return result{}, fmt.Errorf("no %s to churn", target.Resource.GroupResource())
	}
	if err := peer.Print(result{}); err != nil {
		return result{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	var patched, failed atomic.Int64
	turns := make(chan int)
	var group sync.WaitGroup
	for _, client := range clients {
		group.Go(func() {
			for turn := range turns {
				key := keys[turn%len(keys)]
				patch := `{"metadata":{"annotations":{"load/turn":"` + strconv.Itoa(turn) + `"}}}`
				_, err := client.Resource(target.Resource).Namespace(key.Namespace).Patch(ctx, key.Name,
					types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: controller})
				switch {
				case err == nil:
					patched.Add(1)
				case ctx.Err() == nil:
					failed.Add(1)
				}
			}
		})
	}
	ticker := time.NewTicker(time.Duration(float64(time.Second) / rate))
	defer ticker.Stop()
	for turn := 0; ctx.Err() == nil; turn++ {
		select {
		case <-ctx.Done():
		case <-ticker.C:
			select { // all workers may hang in a request
			case turns <- turn:
			case <-ctx.Done():
			}
		}
	}
	close(turns)
	group.Wait()
	return result{Objects: int(patched.Load()), Errors: int(failed.Load())}, nil
}

func remove(ctx context.Context, target peer.Target, count int) (result, error) {
	clients, err := newClients(target)
	if err != nil {
		return result{}, err
	}
	keys, err := list(ctx, target)
	if err != nil {
		return result{}, err
	}
	if count > len(keys) {
		return result{}, fmt.Errorf("--count %d, but there are %d %s", count, len(keys), target.Resource.GroupResource())
	}
	if count > 0 {
		keys = keys[:count]
	}
	err = each(len(keys), func(worker, i int) error {
		client := clients[worker].Resource(target.Resource).Namespace(keys[i].Namespace)
		return client.Delete(ctx, keys[i].Name, metav1.DeleteOptions{})
	})
	return result{Objects: len(keys)}, err
}

// list names all objects, sorted by namespace and name.
func list(ctx context.Context, target peer.Target) ([]types.NamespacedName, error) {
	client, err := metadata.NewForConfig(target.Config)
	if err != nil {
		return nil, err
	}
	all, err := client.Resource(target.Resource).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	keys := make([]types.NamespacedName, len(all.Items))
	for i, item := range all.Items {
		keys[i] = types.NamespacedName{Namespace: item.Namespace, Name: item.Name}
	}
	slices.SortFunc(keys, func(a, b types.NamespacedName) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return keys, nil
}

// newClients makes one client with one connection for each worker: over HTTP/2 all would share one.
func newClients(target peer.Target) ([]dynamic.Interface, error) {
	clients := make([]dynamic.Interface, workers)
	for i := range clients {
		config := *target.Config
		// With a dialer of its own, client-go does not hand out its one cached connection.
		config.Dial = (&net.Dialer{}).DialContext
		client, err := dynamic.NewForConfig(&config)
		if err != nil {
			return nil, err
		}
		clients[i] = client
	}
	return clients, nil
}

// each calls do for 0..n-1 on all workers and returns the first error, after which it starts no more.
func each(n int, do func(worker, i int) error) error {
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			for failed.Load() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := do(worker, i); err != nil {
					failed.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	group.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}
