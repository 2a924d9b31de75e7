from needstream.streams.pipeline.watermark import Watermark


def test_the_watermark_is_the_newest_event_time_less_the_lateness():
    watermark = Watermark(100)

    assert watermark.at_ms is None
    reached_ms = []
    for at_ms in (1000, 500, 2000):
        watermark.observe(at_ms)
        reached_ms.append(watermark.at_ms)

    assert [900, 900, 1900] == reached_ms


def test_a_tick_advances_an_idle_partition_and_never_sets_it_back():
    watermark = Watermark(100)
    watermark.tick(5000)
    watermark.tick(4000)

    assert 5000 == watermark.at_ms
    watermark.observe(4500)

    assert 5000 == watermark.at_ms
