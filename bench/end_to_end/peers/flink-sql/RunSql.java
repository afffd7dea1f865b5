import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;

/**
 * Runs a file of Flink SQL, as Flink's SQL client would, in a cluster within this process, and waits
 * for what its statements start. A statement ends with the line that ends with a semicolon.
 */
public final class RunSql {
  private static final Pattern SET = Pattern.compile("SET '([^']+)' = '([^']*)'");

  public static void main(String[] arguments) throws Exception {
    Configuration settings = new Configuration();
    List<String> statements = new ArrayList<>();
    for (String statement : Files.readString(Path.of(arguments[0])).split(";\\s*(\n|$)")) {
      Matcher set = SET.matcher(statement);
      if (set.matches()) {
        settings.setString(set.group(1), set.group(2));
      } else {
        statements.add(statement);
      }
    }
    TableEnvironment tables =
        TableEnvironment.create(
            EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(settings).build());
    for (String statement : statements) {
      TableResult result = tables.executeSql(statement);
      if (result.getJobClient().isPresent()) {
        result.await();
      }
    }
  }
}
