// Connects to a database by JDBC, runs a query that every healthy one can answer, and says how long both took.
//
// Another database needs its driver in the line below and its own `jdbc_url`. The password is never printed, and of the
// URL nothing behind the `?`, where some drivers take one.
//
//DEPS org.postgresql:postgresql:42.7.4
//DEPS com.google.code.gson:gson:2.11.0
//JAVA 17+

import com.google.gson.GsonBuilder;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.net.SocketTimeoutException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.SQLTimeoutException;
import java.sql.Statement;
import java.util.Properties;
import java.util.logging.Level;
import java.util.logging.Logger;

public class JdbcHealthCheck {
    /** The driver logs what this tells anyway. Held here, because a logger that nobody holds forgets its level. */
    private static final Logger DRIVER = Logger.getLogger("org.postgresql");

    private final JsonObject details = new JsonObject();

    public static void main(String[] args) throws IOException {
        DRIVER.setLevel(Level.OFF);
        new JdbcHealthCheck().check(arguments());
    }

    private static JsonObject arguments() throws IOException {
        Path file = Path.of(variable("SCRIPT_ARGS_FILE", "/scripts/args.json"));
        if (!Files.exists(file)) {
            return new JsonObject();
        }
        try {
            return JsonParser.parseString(Files.readString(file)).getAsJsonObject();
        } catch (JsonParseException | IllegalStateException error) {
            throw new IOException(file + " holds no JSON object", error);
        }
    }

    private static String variable(String name, String otherwise) {
        String value = System.getenv(name);
        return value == null || value.isEmpty() ? otherwise : value;
    }

    private static String text(JsonObject args, String name, String otherwise) {
        return args.has(name) ? args.get(name).getAsString() : otherwise;
    }

    private void check(JsonObject args) throws IOException {
        String url = text(args, "jdbc_url", "jdbc:postgresql://localhost:5432/postgres");
        String query = text(args, "validation_query", "SELECT 1");
        int timeoutSeconds = args.has("timeout_seconds") ? args.get("timeout_seconds").getAsInt() : 10;
        String shown = url.split("[?;]", 2)[0];
        details.addProperty("jdbc_url", shown);
        details.addProperty("validation_query", query);

        Properties login = new Properties();
        login.setProperty("user", text(args, "username", "postgres"));
        String password = text(args, "password", "");
        if (!password.isEmpty()) {
            login.setProperty("password", password);
        }
        // For connecting, and, where a server stops to answer in the middle, for reading.
        DriverManager.setLoginTimeout(timeoutSeconds);
        login.setProperty("socketTimeout", Integer.toString(timeoutSeconds));

        long began = System.nanoTime();
        try (Connection connection = DriverManager.getConnection(url, login)) {
            double connected = millisecondsSince(began);
            details.addProperty("connect_milliseconds", connected);
            details.addProperty("product", connection.getMetaData().getDatabaseProductName());
            details.addProperty("version", connection.getMetaData().getDatabaseProductVersion());
            ask(connection, query, timeoutSeconds);
            double asked = details.get("query_milliseconds").getAsDouble();
            finish(true, shown + " is healthy: connected in " + connected + " ms, answered in " + asked + " ms");
        } catch (SQLException error) {
            details.addProperty("sql_state", error.getSQLState());
            if (isTimeout(error)) {
                finish(false, shown + " did not answer within " + timeoutSeconds + " s");
            }
            finish(false, shown + " is not healthy: " + told(error));
        }
    }

    private void ask(Connection connection, String query, int timeoutSeconds) throws SQLException {
        long began = System.nanoTime();
        try (Statement statement = connection.createStatement()) {
            statement.setQueryTimeout(timeoutSeconds);
            statement.setMaxRows(1);
            if (!statement.execute(query)) {
                throw new SQLException("the validation query gives no rows: it is none that selects");
            }
            try (ResultSet rows = statement.getResultSet()) {
                if (!rows.next()) {
                    throw new SQLException("the validation query gives no rows");
                }
                String value = rows.getString(1);
                details.addProperty("value", value == null ? null : value.substring(0, Math.min(value.length(), 200)));
            }
        }
        details.addProperty("query_milliseconds", millisecondsSince(began));
    }

    private static double millisecondsSince(long began) {
        return Math.round((System.nanoTime() - began) / 1e4) / 100.0;
    }

    /** Drivers say in three ways that time ran out: by a class, by a state (the query was cancelled), by a cause. */
    private static boolean isTimeout(SQLException error) {
        if (error instanceof SQLTimeoutException || "57014".equals(error.getSQLState())) {
            return true;
        }
        for (Throwable cause = error; cause != null; cause = cause.getCause()) {
            if (cause instanceof SocketTimeoutException) {
                return true;
            }
        }
        return false;
    }

    /** What the driver says, and what lies at the bottom of it where that is something else. */
    private static String told(SQLException error) {
        Throwable cause = error;
        while (cause.getCause() != null) {
            cause = cause.getCause();
        }
        String said = firstLine(error);
        return cause == error ? said : said + " (" + firstLine(cause) + ")";
    }

    private static String firstLine(Throwable error) {
        String message = error.getMessage() == null ? error.getClass().getSimpleName() : error.getMessage();
        return message.lines().findFirst().orElse(message);
    }

    /** Says how it went: a line for people, a structured record, a JSON result, an exit code. */
    private void finish(boolean passed, String message) throws IOException {
        JsonObject result = new JsonObject();
        result.addProperty("check", "jdbc-health-check");
        result.addProperty("passed", passed);
        result.addProperty("message", message);
        details.entrySet().forEach(entry -> result.add(entry.getKey(), orNull(entry.getValue())));
        String json = new GsonBuilder().serializeNulls().disableHtmlEscaping().create().toJson(result);
        System.out.println(message);
        System.out.println("@@" + json);
        String file = System.getenv("SCRIPT_RESULT");
        if (file != null && !file.isEmpty()) {
            Files.writeString(Path.of(file), json);
        }
        System.exit(passed ? 0 : 1);
    }

    private static JsonElement orNull(JsonElement value) {
        return value == null ? JsonNull.INSTANCE : value;
    }
}
