# Compiles the file without running it and prints what is wrong as one line of JSON: Python's version, and
# of each problem its line, its column in characters and a message.
import io, json, sys, tokenize, warnings

warnings.simplefilter("ignore")
found = []
with open(sys.argv[1], "rb") as file:
    source = file.read()
try:
    # Decoded here and not by `compile`, which counts columns of undecoded source in bytes.
    encoding = tokenize.detect_encoding(io.BytesIO(source).readline)[0]
    compile(source.decode(encoding), sys.argv[1], "exec", dont_inherit=True)
except SyntaxError as error:
    found.append([max(error.lineno or 1, 1), max(error.offset or 1, 1), error.msg or "invalid syntax"])
except UnicodeDecodeError as error:
    before = source[: error.start].split(b"\n")
    found.append([len(before), len(before[-1].decode(encoding, "replace")) + 1, "not " + encoding + ": " + error.reason])
except (RecursionError, MemoryError, OverflowError):
    found.append([1, 1, "too deeply nested for python to compile"])
except ValueError as error:
    found.append([1, 1, str(error)])
print(json.dumps(["%d.%d.%d" % sys.version_info[:3], found]))
