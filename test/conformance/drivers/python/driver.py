"""The Python client (PyPI `pulsar-client`) behind the drivers' line protocol.

One JSON command a line on stdin, one JSON answer a line on stdout; see ../../README.md.
Every command has its own thread, because most of the client's calls block.
"""
import base64
import concurrent.futures
import itertools
import json
import os
import sys
import threading

import pulsar
from pulsar import schema as schemas

import flow


class User(schemas.Record):
    name = schemas.String()
    age = schemas.Integer()


class UserWithEmail(schemas.Record):
    name = schemas.String()
    age = schemas.Integer()
    email = schemas.String(default=None, required_default=True)  # without a default it could not be added


class UserWithTextAge(schemas.Record):
    name = schemas.String()
    age = schemas.String()


RECORDS = {'User': User, 'UserWithEmail': UserWithEmail, 'UserWithTextAge': UserWithTextAge}
COMPRESSION = {
    'NONE': pulsar.CompressionType.NONE,
    'LZ4': pulsar.CompressionType.LZ4,
    'ZLIB': pulsar.CompressionType.ZLib,
    'ZSTD': pulsar.CompressionType.ZSTD,
    'SNAPPY': pulsar.CompressionType.SNAPPY,
}
TYPES = {
    'Exclusive': pulsar.ConsumerType.Exclusive,
    'Failover': pulsar.ConsumerType.Failover,
    'Shared': pulsar.ConsumerType.Shared,
    'Key_Shared': pulsar.ConsumerType.KeyShared,
}
ACCESS = {
    'Shared': pulsar.ProducerAccessMode.Shared,
    'Exclusive': pulsar.ProducerAccessMode.Exclusive,
    'WaitForExclusive': pulsar.ProducerAccessMode.WaitForExclusive,
    'ExclusiveWithFencing': pulsar.ProducerAccessMode.ExclusiveWithFencing,
}
ROUTING = {
    'RoundRobin': pulsar.PartitionsRoutingMode.RoundRobinDistribution,
    'Single': pulsar.PartitionsRoutingMode.UseSinglePartition,
}

handles = {}
numbers = itertools.count(1)
output = threading.Lock()


class Receiver:
    """A consumer or reader with the messages it received, by the reference the runner knows them by."""

    def __init__(self, inner, spec):
        self.inner = inner
        self.spec = spec
        self.messages = {}
        self.refs = itertools.count(1)

    def keep(self, message):
        ref = next(self.refs)
        self.messages[ref] = message
        return ref


def keep(thing):
    number = next(numbers)
    handles[number] = thing
    return number


def schema_of(spec):
    kind = (spec or {}).get('type', 'BYTES')
    if kind == 'STRING':
        return schemas.StringSchema()
    if kind == 'JSON':
        return schemas.JsonSchema(RECORDS[spec['record']])
    if kind == 'AVRO':
        return schemas.AvroSchema(RECORDS[spec['record']])
    if kind == 'BYTES':
        return schemas.BytesSchema()
    raise ValueError('no such schema in this driver: ' + kind)


def id_out(message_id):
    return {
        'ledger': message_id.ledger_id(),
        'entry': message_id.entry_id(),
        'batch': message_id.batch_index(),
        'partition': message_id.partition(),
        'bytes': base64.b64encode(message_id.serialize()).decode(),
    }


def id_in(value):
    if value == 'earliest':
        return pulsar.MessageId.earliest
    if value == 'latest':
        return pulsar.MessageId.latest
    return pulsar.MessageId.deserialize(base64.b64decode(value))


def message_out(receiver, message):
    out = {
        'ref': receiver.keep(message),
        'id': id_out(message.message_id()),
        'topic': message.topic_name(),
        'properties': message.properties(),
        'key': message.partition_key(),
        'orderingKey': message.ordering_key(),
        'eventTime': message.event_timestamp(),
        'publishTime': message.publish_timestamp(),
        'redeliveryCount': message.redelivery_count(),
        'producerName': message.producer_name(),
        'data': base64.b64encode(message.data()).decode(),
    }
    if receiver.spec:
        value = message.value()
        if isinstance(value, schemas.Record):
            value = {name: getattr(value, name) for name in value._fields}
        out['value'] = value
    return out


def content_of(producer, message):
    if 'value' in message:
        value = message['value']
        spec = producer.spec or {}
        return RECORDS[spec['record']](**value) if 'record' in spec else value
    return base64.b64decode(message['data'])


def send_options(message):
    options = {'properties': message.get('properties'), 'partition_key': message.get('key'),
               'ordering_key': message.get('orderingKey'), 'event_timestamp': message.get('eventTime'),
               'sequence_id': message.get('sequenceId')}
    if 'deliverAfterMs' in message:
        import datetime
        options['deliver_after'] = datetime.timedelta(milliseconds=message['deliverAfterMs'])
    return {name: value for name, value in options.items() if value is not None}


class Producer:
    def __init__(self, inner, spec):
        self.inner = inner
        self.spec = spec


def login_of(login):
    if login is None:
        return None
    if login['kind'] == 'token':
        return pulsar.AuthenticationToken(login['token'])
    if login['kind'] == 'basic':
        return pulsar.AuthenticationBasic(login['user'], login['password'])
    return pulsar.AuthenticationTLS(login['certificate'], login['key'])


def client_create(a):
    # libpulsar's console logger would write into our answers on stdout
    client = pulsar.Client(a['url'], operation_timeout_seconds=max(1, a.get('operationTimeoutMs', 30000) // 1000),
                           listener_name=a.get('listenerName'), authentication=login_of(a.get('login')),
                           tls_trust_certs_file_path=a.get('trustedFile'), logger=pulsar.FileLogger(pulsar.LoggerLevel.Warn, '/dev/stderr'))
    return {'handle': keep(client)}


def producer_create(a):
    options = {'access_mode': ACCESS[a.get('accessMode', 'Shared')], 'compression_type': COMPRESSION[a.get('compression', 'NONE')],
               'chunking_enabled': a.get('chunking', False), 'send_timeout_millis': a.get('sendTimeoutMs', 30000),
               'schema': schema_of(a.get('schema')), 'block_if_queue_full': True}
    if 'name' in a:
        options['producer_name'] = a['name']
    if 'initialSequenceId' in a:
        options['initial_sequence_id'] = a['initialSequenceId']
    if 'properties' in a:
        options['properties'] = a['properties']
    if 'routing' in a:
        options['message_routing_mode'] = ROUTING[a['routing']]
    if 'batching' in a:
        batching = a['batching']
        options.update(batching_enabled=True, batching_max_messages=batching['maxMessages'],
                       batching_max_publish_delay_ms=batching['maxDelayMs'])
        if batching.get('keyBased'):
            options['batching_type'] = pulsar.BatchingType.KeyBased
    inner = handles[a['client']].create_producer(a['topic'], **options)
    return {'handle': keep(Producer(inner, a.get('schema'))), 'name': inner.producer_name()}


def producer_send(a):
    producer = handles[a['handle']]
    message = a['message']
    return id_out(producer.inner.send(content_of(producer, message), **send_options(message)))


def producer_send_many(a):
    producer = handles[a['handle']]
    done, lock, all_done = [], threading.Lock(), threading.Event()
    failures = []

    def finished(index):
        def call(result, message_id):
            with lock:
                if result == pulsar.Result.Ok:
                    done.append({'index': index, 'id': id_out(pulsar.MessageId.wrap(message_id) if hasattr(pulsar.MessageId, 'wrap') else message_id)})
                else:
                    failures.append(result)
                if len(done) + len(failures) == len(a['messages']):
                    all_done.set()
        return call

    for index, message in enumerate(a['messages']):
        producer.inner.send_async(content_of(producer, message), finished(index), **send_options(message))
    producer.inner.flush()
    if not all_done.wait(60):
        raise TimeoutError('receipts did not arrive')
    if failures:
        raise Failure(str(failures[0]).split('.')[-1], 'send failed: ' + str(failures[0]))
    return done


def consumer_subscribe(a):
    options = {'consumer_type': TYPES[a.get('type', 'Exclusive')], 'schema': schema_of(a.get('schema')),
               'initial_position': pulsar.InitialPosition.Earliest if a.get('position') == 'Earliest' else pulsar.InitialPosition.Latest}
    for ours, theirs in (('name', 'consumer_name'), ('queueSize', 'receiver_queue_size'), ('ackTimeoutMs', 'unacked_messages_timeout_ms'),
                         ('nackDelayMs', 'negative_ack_redelivery_delay_ms'), ('properties', 'properties'),
                         ('readCompacted', 'is_read_compacted'), ('inclusive', 'start_message_id_inclusive'),
                         ('batchIndexAck', 'batch_index_ack_enabled')):
        if ours in a:
            options[theirs] = a[ours]
    if 'discoveryMs' in a:
        options['pattern_auto_discovery_period'] = max(1, a['discoveryMs'] // 1000)
    if 'deadLetter' in a:
        dead = a['deadLetter']
        options['dead_letter_policy'] = pulsar.ConsumerDeadLetterPolicy(dead['maxRedeliveries'], dead.get('topic'), dead.get('initialSubscription'))
    if 'keyShared' in a:
        ranges = a['keyShared'].get('ranges')
        mode = pulsar.KeySharedMode.Sticky if ranges else pulsar.KeySharedMode.AutoSplit
        options['key_shared_policy'] = pulsar.ConsumerKeySharedPolicy(mode, a['keyShared'].get('allowOutOfOrder', False), ranges and [tuple(r) for r in ranges])
    if 'pattern' in a:
        import re
        topic = re.compile(a['pattern'])
    else:
        topic = a.get('topics') or a['topic']
    inner = handles[a['client']].subscribe(topic, a['subscription'], **options)
    return {'handle': keep(Receiver(inner, a.get('schema')))}


def receive(receiver, call, timeout_ms):
    try:
        return message_out(receiver, call(timeout_millis=timeout_ms))
    except pulsar.Timeout:
        return None


def reader_create(a):
    options = {'schema': schema_of(a.get('schema'))}
    for ours, theirs in (('queueSize', 'receiver_queue_size'), ('name', 'reader_name'), ('inclusive', 'start_message_id_inclusive'),
                         ('readCompacted', 'is_read_compacted')):
        if ours in a:
            options[theirs] = a[ours]
    inner = handles[a['client']].create_reader(a['topic'], id_in(a['start']), **options)
    return {'handle': keep(Receiver(inner, a.get('schema')))}


def consumer_seek(a):
    handles[a['handle']].inner.seek(a['time'] if 'time' in a else id_in(a['id']))


def table_view(a):
    view = handles[a['client']].create_table_view(a['topic'], schema=schemas.StringSchema())
    entries = {}
    view.for_each(entries.__setitem__)
    view.close()
    return entries


def on_message(action):
    def call(a):
        receiver = handles[a['handle']]
        getattr(receiver.inner, action)(receiver.messages[a['ref']])
    return call


def on_inner(action, answer=lambda value: None):
    return lambda a: answer(getattr(handles[a['handle']].inner, action)())


def pour(a):
    return {'handle': keep(flow.Pouring(handles[a['handle']].inner, pulsar.Result.Ok, a['rate'], a['bytes'], a['keys']))}


def drain(a):
    return {'handle': keep(flow.Draining(handles[a['handle']].inner, pulsar.Timeout, a['keys']))}


OPERATIONS = {
    'client.create': client_create,
    'client.close': lambda a: handles[a['handle']].close(),
    'client.partitions': lambda a: handles[a['handle']].get_topic_partitions(a['topic']),
    'client.tableView': table_view,
    'producer.create': producer_create,
    'producer.send': producer_send,
    'producer.sendMany': producer_send_many,
    'producer.pour': pour,
    'pouring.end': lambda a: handles[a['handle']].end(a['timeoutMs'] / 1000),
    'producer.lastSequenceId': on_inner('last_sequence_id', lambda value: value),
    'producer.close': on_inner('close'),
    'consumer.subscribe': consumer_subscribe,
    'consumer.receive': lambda a: receive(handles[a['handle']], handles[a['handle']].inner.receive, a['timeoutMs']),
    'consumer.drain': drain,
    'draining.counts': lambda a: handles[a['handle']].counts(),
    'draining.end': lambda a: handles[a['handle']].end(),
    'consumer.ack': on_message('acknowledge'),
    'consumer.ackId': lambda a: handles[a['handle']].inner.acknowledge(id_in(a['id'])),
    'consumer.ackCumulative': on_message('acknowledge_cumulative'),
    'consumer.nack': on_message('negative_acknowledge'),
    'consumer.redeliver': on_inner('redeliver_unacknowledged_messages'),
    'consumer.seek': consumer_seek,
    'consumer.unsubscribe': on_inner('unsubscribe'),
    'consumer.close': on_inner('close'),
    'consumer.lastMessageId': on_inner('get_last_message_id', id_out),
    'reader.create': reader_create,
    'reader.next': lambda a: receive(handles[a['handle']], handles[a['handle']].inner.read_next, a['timeoutMs']),
    'reader.hasNext': on_inner('has_message_available', bool),
    'reader.seek': consumer_seek,
    'reader.close': on_inner('close'),
}


class Failure(Exception):
    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


def answer(request):
    try:
        reply = {'id': request['id'], 'ok': OPERATIONS[request['op']](request['args'])}
    except BaseException as error:  # every failure is the runner's to judge
        code = getattr(error, 'code', type(error).__name__)
        reply = {'id': request['id'], 'error': {'code': code, 'message': str(error)}}
    write(reply)


def write(reply):
    with output:
        sys.stdout.write(json.dumps(reply) + '\n')
        sys.stdout.flush()


def main():
    write({'ready': 'pulsar-client ' + pulsar.__version__})
    with concurrent.futures.ThreadPoolExecutor(max_workers=1024) as pool:
        for line in sys.stdin:
            pool.submit(answer, json.loads(line))
        os._exit(0)  # the runner went away: threads may still be inside blocking calls


main()
