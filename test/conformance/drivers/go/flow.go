package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"
)

const (
	burst      = 10 * time.Millisecond
	receiveFor = 500 * time.Millisecond
	errorsMax  = 10
)

type flowArgs struct {
	Handle    int `json:"handle"`
	Rate      int `json:"rate"`
	Bytes     int `json:"bytes"`
	Keys      int `json:"keys"`
	TimeoutMs int `json:"timeoutMs"`
}

// pouring publishes 0, 1, 2, … at a rate; number n has the key n % keys.
type pouring struct {
	lock         sync.Mutex
	sent         int
	acknowledged int
	failed       int
	errors       []string
	last         time.Time
	longest      time.Duration
	stop         chan struct{}
	stopped      chan struct{}
	producer     pulsar.Producer
}

func pour(a flowArgs) (any, error) {
	producer, err := held[*producing](a.Handle)
	if err != nil {
		return nil, err
	}
	p := &pouring{producer: producer.Producer, last: time.Now(), stop: make(chan struct{}), stopped: make(chan struct{}), errors: []string{}}
	go p.run(a)
	return map[string]int{"handle": keep(p)}, nil
}

func (p *pouring) run(a flowArgs) {
	defer close(p.stopped)
	started := time.Now()
	ticks := time.NewTicker(burst)
	defer ticks.Stop()
	for number := 0; ; {
		for due := int(time.Since(started).Seconds() * float64(a.Rate)); number < due; number++ {
			select {
			case <-p.stop:
				return
			default:
			}
			p.lock.Lock()
			p.sent++
			p.lock.Unlock()
			message := pulsar.ProducerMessage{Key: strconv.Itoa(number % a.Keys), Payload: []byte(fmt.Sprintf("%0*d", a.Bytes, number))}
			p.producer.SendAsync(context.Background(), &message, p.onReceipt)
		}
		select {
		case <-p.stop:
			return
		case <-ticks.C:
		}
	}
}

func (p *pouring) onReceipt(_ pulsar.MessageID, _ *pulsar.ProducerMessage, err error) {
	p.lock.Lock()
	defer p.lock.Unlock()
	if err != nil {
		p.failed++
		if len(p.errors) < errorsMax {
			p.errors = append(p.errors, err.Error())
		}
		return
	}
	now := time.Now()
	p.acknowledged++
	p.longest = max(p.longest, now.Sub(p.last))
	p.last = now
}

func endPouring(a flowArgs) (any, error) {
	p, err := held[*pouring](a.Handle)
	if err != nil {
		return nil, err
	}
	close(p.stop)
	<-p.stopped
	if err := p.producer.Flush(); err != nil {
		return nil, err
	}
	until := time.Now().Add(milliseconds(a.TimeoutMs))
	for {
		p.lock.Lock()
		if p.acknowledged+p.failed == p.sent || time.Now().After(until) {
			defer p.lock.Unlock()
			return map[string]any{"sent": p.sent, "acknowledged": p.acknowledged, "failed": p.failed, "errors": p.errors, "longestPauseMs": p.longest.Milliseconds()}, nil
		}
		p.lock.Unlock()
		time.Sleep(burst)
	}
}

// draining receives and acknowledges until it is ended; of each number the first delivery counts.
type draining struct {
	lock       sync.Mutex
	seen       map[int]struct{}
	latest     map[int]int
	again      int
	disordered int
	errors     []string
	cancel     context.CancelFunc
	stopped    chan struct{}
}

func drain(a flowArgs) (any, error) {
	r, err := held[*receiver](a.Handle)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	d := &draining{seen: map[int]struct{}{}, latest: map[int]int{}, cancel: cancel, stopped: make(chan struct{}), errors: []string{}}
	go d.run(ctx, r.consumer, a.Keys)
	return map[string]int{"handle": keep(d)}, nil
}

func (d *draining) run(ctx context.Context, consumer pulsar.Consumer, keys int) {
	defer close(d.stopped)
	for ctx.Err() == nil {
		within, cancel := context.WithTimeout(ctx, receiveFor)
		message, err := consumer.Receive(within)
		cancel()
		if err == nil {
			err = d.take(message, keys)
		}
		if err == nil {
			err = consumer.Ack(message)
		}
		if err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
			d.lock.Lock()
			if len(d.errors) < errorsMax {
				d.errors = append(d.errors, err.Error())
			}
			d.lock.Unlock()
			time.Sleep(burst)
		}
	}
}

func (d *draining) take(message pulsar.Message, keys int) error {
	number, err := strconv.Atoi(string(message.Payload()))
	if err != nil {
		return err
	}
	d.lock.Lock()
	defer d.lock.Unlock()
	if _, found := d.seen[number]; found {
		d.again++
		return nil
	}
	d.seen[number] = struct{}{}
	if latest, found := d.latest[number%keys]; found && number < latest {
		d.disordered++
		return nil
	}
	d.latest[number%keys] = number
	return nil
}

func (d *draining) counts() map[string]any {
	d.lock.Lock()
	defer d.lock.Unlock()
	return map[string]any{"received": len(d.seen), "again": d.again, "disordered": d.disordered, "errors": d.errors}
}

func countDrained(a flowArgs) (any, error) {
	d, err := held[*draining](a.Handle)
	if err != nil {
		return nil, err
	}
	return d.counts(), nil
}

func endDraining(a flowArgs) (any, error) {
	d, err := held[*draining](a.Handle)
	if err != nil {
		return nil, err
	}
	d.cancel()
	<-d.stopped
	return d.counts(), nil
}
